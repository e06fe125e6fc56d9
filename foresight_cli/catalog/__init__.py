"""The catalog: which cache entries ``source=`` and ``target=`` mean, and the dataset behind them."""
