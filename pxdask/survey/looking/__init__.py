"""Figures, pages and the viewer of a run's results."""
