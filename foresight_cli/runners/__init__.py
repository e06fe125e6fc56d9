"""Runners of extraction: on this machine, or on a Ray cluster."""
