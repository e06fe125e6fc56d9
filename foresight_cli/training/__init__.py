"""Fitting adapters to pairs of latents, in memory or read from the cache as they are needed."""
