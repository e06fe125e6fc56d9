"""Inputs of an analysis or an adapter: spaces joined by sample, split by group, with controls and companions."""
