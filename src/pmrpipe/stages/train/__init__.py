"""Fit a learned method to the packed arrays of a cohort, by Lightning."""
