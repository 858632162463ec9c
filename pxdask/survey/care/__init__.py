"""What is in a run's folder, what made it, and whether it is whole."""
