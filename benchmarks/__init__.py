"""Benchmarks of speed and memory, as ratios to an alternative timed in the same run; ``python -m benchmarks``."""

import foresight_cli.cli  # noqa: F401  sets NumPy's threads as the command line does, for both sides
