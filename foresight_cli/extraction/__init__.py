"""From samples to committed shards: reading ahead, batching, the forward pass, writing behind, worker processes."""
