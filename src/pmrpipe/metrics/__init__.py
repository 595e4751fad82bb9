"""What is measured of a registered pair, the tables of it, and their summary.

Needs numpy, scipy and pandas alone. Definitions with formulas and sources: docs/metrics.md.
"""
