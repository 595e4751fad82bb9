"""Encoders, heads and blocks; nothing here knows of files or objectives."""
