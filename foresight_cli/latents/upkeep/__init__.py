"""Upkeep of the cache: checks, garbage collection and removal."""
