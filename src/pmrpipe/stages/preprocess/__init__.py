"""From a scan as it comes to a whitened brain on the template grid.

One module a step: brain -> resample -> affine -> whiten, and labels beside them; `space` is the
template, `pack` the arrays for training. Each holds its pure function and `run`, the same on files:
read, compute, write with sidecars. The verbs and the Nipype interfaces both call `run`, so that
both give the same bytes. Images are written last, and whole or not at all, so that a file that
stands is complete.
"""
