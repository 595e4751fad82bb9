"""Seeded corruptions of a dataset and its study, as they are met in the wild."""
