"""The lens, which finds a trained VAE's sites, intervenes on them, and leaves the model as it was.

The packages above import from here alone. Nothing in it knows a dataset or a metric.
"""

from vaelens.lens.adapters import TVAETable, encoder_kept
from vaelens.lens.batch import Batch, BatchLike, as_batch, joined
from vaelens.lens.cached_run import CODE, IMAGE, CachedRun
from vaelens.lens.context import ContextLike
from vaelens.lens.counterfactuals import Counterfactuals
from vaelens.lens.direction import Direction, direction_at
from vaelens.lens.engine import Engine
from vaelens.lens.example import ImagesLike
from vaelens.lens.interchange import NOTHING, SitePatch
from vaelens.lens.interventions import ABLATIONS, Ablate, Add, Intervention, Patch, Scale, Set
from vaelens.lens.lens import Lens
from vaelens.lens.memory import Whole, halving, in_chunks
from vaelens.lens.partners import other_images
from vaelens.lens.regions import (
    Group,
    Region,
    Regions,
    UnitsLike,
    axis_names,
    checked_unit,
    has_units,
    regions,
    resolve_units,
    unit_name,
)
from vaelens.lens.run import Hit, Run
from vaelens.lens.settings import FP32
from vaelens.lens.sites import LATENT, Site, Sites
from vaelens.lens.subspace import Subspace
from vaelens.lens.unseen import unseen_share

__all__ = [
    "ABLATIONS",
    "CODE",
    "FP32",
    "IMAGE",
    "LATENT",
    "NOTHING",
    "Ablate",
    "Add",
    "Batch",
    "BatchLike",
    "CachedRun",
    "ContextLike",
    "Counterfactuals",
    "Direction",
    "Engine",
    "Group",
    "Hit",
    "ImagesLike",
    "Intervention",
    "Lens",
    "Patch",
    "Region",
    "Regions",
    "Run",
    "Scale",
    "Set",
    "Site",
    "SitePatch",
    "Sites",
    "Subspace",
    "TVAETable",
    "UnitsLike",
    "Whole",
    "as_batch",
    "axis_names",
    "checked_unit",
    "direction_at",
    "encoder_kept",
    "halving",
    "has_units",
    "in_chunks",
    "joined",
    "other_images",
    "regions",
    "resolve_units",
    "unit_name",
    "unseen_share",
]
