"""Calibration: the error rates of the verdict on made-up spaces with a known truth."""
