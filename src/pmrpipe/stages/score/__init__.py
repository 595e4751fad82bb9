"""Scores of registered pairs: overlap, surface distances, deformation statistics, tables.

Needs numpy, scipy and pandas alone. Definitions with formulas and sources: docs/metrics.md.
"""
