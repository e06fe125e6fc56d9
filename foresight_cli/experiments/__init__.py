"""The study's seven experiments on cached latents: each takes spaces in memory, and returns results and arrays."""
