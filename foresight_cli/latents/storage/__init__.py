"""Storage of the cache: folders and object stores, atomic writes, locks and the read cache."""
