"""Leave-one-out errors of ridge maps, the slow and plain way."""

import numpy as np
from sklearn.model_selection import KFold


def left_out_error(x, y, penalty):
    """Predict each row by a ridge map of all others, one at a time, and sum the squared errors."""
    total = 0.0
    for train, test in KFold(len(x)).split(x):
        centred = x[train] - x[train].mean(axis=0)
        weight = np.linalg.solve(centred.T @ centred + penalty * np.eye(x.shape[1]), centred.T @ y[train])
        total += ((y[test] - y[train].mean(axis=0) - (x[test] - x[train].mean(axis=0)) @ weight) ** 2).sum()
    return total
