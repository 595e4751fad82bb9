"""Errors, atomic files, memory, versions, digests: what every floor stands on."""
