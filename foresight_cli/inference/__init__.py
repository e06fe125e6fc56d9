"""Nulls and intervals: how sure a number is."""
