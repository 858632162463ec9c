"""Files of results for other programs, theirs for ours, and what to cite."""
