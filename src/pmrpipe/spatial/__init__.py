"""Geometry on tensors: grids, warps, integration, composition, inversion, Jacobians.

Images are (B, C, X, Y, Z). Displacement and velocity fields are (B, 3, X, Y, Z) in voxels of
their own grid, channels in the order of the array axes. Fields are pull-backs:
warped(p) = moving(p + u(p)).
"""
