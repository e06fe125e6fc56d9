"""Extraction, from samples to committed shards: reading ahead, batches, forward passes, writing, worker processes."""
