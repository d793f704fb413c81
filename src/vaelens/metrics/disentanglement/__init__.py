"""Disentanglement metrics, which are functions of codes `(N, d)` and factors `(N, K)`, without model or dataset.

The FactorVAE and beta-VAE scores alone take a lens and a dataset, since they choose the images they look at.
"""

from vaelens.metrics.disentanglement.beta_vae import BetaVAEScore, beta_vae_score
from vaelens.metrics.disentanglement.dci import DCI, dci
from vaelens.metrics.disentanglement.estimates import ScoreEstimate, estimate_scores
from vaelens.metrics.disentanglement.explicitness import explicitness
from vaelens.metrics.disentanglement.factor_vae import FactorVAEScore, factor_vae_score
from vaelens.metrics.disentanglement.irs import irs
from vaelens.metrics.disentanglement.mig import mig
from vaelens.metrics.disentanglement.modularity import modularity
from vaelens.metrics.disentanglement.sap import sap
from vaelens.metrics.disentanglement.total_correlation import gaussian_total_correlation

__all__ = [
    "DCI",
    "BetaVAEScore",
    "FactorVAEScore",
    "ScoreEstimate",
    "beta_vae_score",
    "dci",
    "estimate_scores",
    "explicitness",
    "factor_vae_score",
    "gaussian_total_correlation",
    "irs",
    "mig",
    "modularity",
    "sap",
]
