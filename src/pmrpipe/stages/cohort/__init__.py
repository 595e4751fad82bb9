"""Who is in a study: scans, splits, pairs and label tables."""
