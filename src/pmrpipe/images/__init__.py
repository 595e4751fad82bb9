"""An image with its affine: open, check, orient, interpolate, transform, write."""
