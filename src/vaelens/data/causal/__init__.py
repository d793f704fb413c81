"""Structural causal models, and datasets whose images show what they sample."""
