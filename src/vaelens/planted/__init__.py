"""VAEs whose weights are set by hand, so that circuits, scores and types of units are known exactly.

A ground truth for searches, ours or others'; nothing here knows a search.
"""

from vaelens.planted.dataset import PlantedDataset
from vaelens.planted.kinds import KINDS
from vaelens.planted.model import PlantedVAE
from vaelens.planted.planted import Planted, planted_model
from vaelens.planted.recovery import Recovery, recovery, score_recovery
from vaelens.planted.truth import Truth

__all__ = [
    "KINDS",
    "Planted",
    "PlantedDataset",
    "PlantedVAE",
    "Recovery",
    "Truth",
    "planted_model",
    "recovery",
    "score_recovery",
]
