"""A study: configuration, options, label tables, spaces, result paths, packed arrays."""
