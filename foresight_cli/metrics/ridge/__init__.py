"""Ridge regression: the fit, its solver, leave-one-out penalties and streamed sums."""
