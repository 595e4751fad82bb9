"""From raw T1-weighted brain MRI to registered brains and a Dice table."""

__version__ = "0.1.0"
