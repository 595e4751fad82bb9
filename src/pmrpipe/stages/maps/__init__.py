"""Stage maps: what registrations to the template say of each scan, ready for statistics."""
