"""The Q1 study, again: its numbers, its rule and its table."""
