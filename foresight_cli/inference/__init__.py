"""Inference: nulls, intervals and controls for the measures."""
