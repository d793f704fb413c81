"""Disentanglement metrics: pure functions of codes `(N, d)` and factors `(N, K)`; no model, no dataset."""

from vaelens.metrics.disentanglement.dci import DCI, dci
from vaelens.metrics.disentanglement.mig import mig

__all__ = ["DCI", "dci", "mig"]
