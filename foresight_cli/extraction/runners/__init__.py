"""The runners of extraction: in this process, in several processes, or on a Ray cluster."""
