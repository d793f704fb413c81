"""Factor readers, networks trained on a dataset that predict which attributes an image has, and how surely."""

from vaelens.metrics.readers.creation import factor_reader, kept_reader
from vaelens.metrics.readers.reader import FactorReader
from vaelens.metrics.readers.score import FactorScore

__all__ = ["FactorReader", "FactorScore", "factor_reader", "kept_reader"]
