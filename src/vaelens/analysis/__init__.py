"""Everything about one model in one call: all four levels, the causal metrics, the disentanglement metrics."""

from vaelens.analysis.record import Analysis
from vaelens.analysis.run import analyse

__all__ = ["Analysis", "analyse"]
