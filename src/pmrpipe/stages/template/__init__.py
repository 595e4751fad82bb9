"""Stage template: an unbiased mean brain of a study's scans, a space for later studies."""
