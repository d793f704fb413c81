"""The objectives, functions from plain tensors to the named terms of the loss.

An objective names the tensors it takes, of those that a training step has (`vaelens.models.step`), and after `*` its
hyperparameters. Every term is summed over pixels and latents and averaged over the batch, in nats an image; `loss`
is what is minimised. A new objective is a new function here and a line in `vaelens.models.catalogue`, found by its
name with `_` for `-`.
"""

from vaelens.models.objectives.dip import dip_vae_i, dip_vae_ii
from vaelens.models.objectives.evidence import annealed_vae, beta_vae, vae
from vaelens.models.objectives.factor import factor_vae
from vaelens.models.objectives.quantised import vq_vae
from vaelens.models.objectives.total_correlation import beta_tc_vae

__all__ = ["annealed_vae", "beta_tc_vae", "beta_vae", "dip_vae_i", "dip_vae_ii", "factor_vae", "vae", "vq_vae"]
