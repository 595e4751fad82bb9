"""The seed of everything that is drawn, unless one is given: the one place that says it."""

SEED = 2019
