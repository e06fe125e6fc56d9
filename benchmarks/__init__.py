"""Speed and memory, each as a ratio to a named alternative timed in the same run; ``python -m benchmarks``."""

import foresight_cli.cli  # noqa: F401  what the command line sets for NumPy's threads holds here too, for both sides
