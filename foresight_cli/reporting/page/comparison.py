"""Several analyses on one page: which pair, layer, dataset or model looks best, and how each was judged."""
