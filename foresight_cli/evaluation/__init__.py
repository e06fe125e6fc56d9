"""Evaluation of adapters on held-out groups: scores, the noise ceiling and decoded previews."""
