"""Speed and memory, each as a ratio to a named alternative timed in the same run; ``python -m benchmarks``."""
