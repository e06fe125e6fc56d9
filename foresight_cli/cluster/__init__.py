"""The Ray cluster: the connection, sums gathered from it, and the ledger of shards."""
