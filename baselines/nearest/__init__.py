"""Nearest neighbor: the baseline that does not learn."""
