"""Steps from a raw scan to a whitened brain on the template grid: brain, resample, affine, whiten,
labels; and packing for training.
"""
