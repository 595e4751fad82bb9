"""Terms of the objectives: similarity, variational (Eq. 6), regularity."""
