"""The four levels of intervention, as effects with intervals: input, latent, activation, mediation."""

from vaelens.effects.input import input_effects
from vaelens.effects.latent import latent_effects
from vaelens.effects.manipulations import manipulate
from vaelens.effects.mediation import mediation_effects
from vaelens.effects.patching import patching_effects, path_effects
from vaelens.effects.responses import decoder_responses

__all__ = [
    "decoder_responses",
    "input_effects",
    "latent_effects",
    "manipulate",
    "mediation_effects",
    "patching_effects",
    "path_effects",
]
