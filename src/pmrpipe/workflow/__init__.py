"""What the Snakefile asks: the plan, the words of each rule, locks, provenance, failures."""
