"""Scans of other contrasts of one session, on the grid of its T1w, and how well they fit there."""
