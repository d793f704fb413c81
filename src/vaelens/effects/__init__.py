"""Effects with intervals at the four levels of intervention, which are input, latent, activation and mediation.

An effect is a file here and a schema in `schemas.py`, the table of what its result holds.
"""

from vaelens.effects.annotation import annotate
from vaelens.effects.ces_by_mode import ces_by_mode
from vaelens.effects.code_effects import code_effects
from vaelens.effects.factor_effects import factor_effects
from vaelens.effects.factor_predictions import FACTORS, ReadsFactors, factor_predictions
from vaelens.effects.input import input_effects
from vaelens.effects.latent import latent_effects
from vaelens.effects.manipulation_effects import manipulation_effects
from vaelens.effects.manipulations import Manipulation, manipulate
from vaelens.effects.mediation import mediation_effects
from vaelens.effects.patching import patching_effects
from vaelens.effects.paths import path_effects
from vaelens.effects.responses import decoder_responses
from vaelens.effects.schemas import SCHEMAS
from vaelens.effects.swap import swap_effects

__all__ = [
    "FACTORS",
    "SCHEMAS",
    "Manipulation",
    "ReadsFactors",
    "annotate",
    "ces_by_mode",
    "code_effects",
    "decoder_responses",
    "factor_effects",
    "factor_predictions",
    "input_effects",
    "latent_effects",
    "manipulate",
    "manipulation_effects",
    "mediation_effects",
    "patching_effects",
    "path_effects",
    "swap_effects",
]
