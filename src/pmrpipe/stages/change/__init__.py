"""Stage change: what differs between scans of one person, in volume, with its noise."""
