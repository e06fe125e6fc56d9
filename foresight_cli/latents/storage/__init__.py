"""Where the bytes of the cache are: folders and object stores, atomic writes, locks and the read cache."""
