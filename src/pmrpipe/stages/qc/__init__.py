"""Stage qc: can this scan be trusted? Measures, figures and a page of each scan; the table."""
