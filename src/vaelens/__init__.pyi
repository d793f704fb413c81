from .analysis import Analysis, analyse
from .data import (
    DATASETS,
    ArrayDataset,
    ArrayFile,
    CausalDataset,
    CollectionDataset,
    FactorDataset,
    FolderDataset,
    StructuralModel,
    Variable,
    load_dataset,
)
from .effects import (
    decoder_responses,
    input_effects,
    latent_effects,
    manipulate,
    mediation_effects,
    patching_effects,
    path_effects,
)
from .errors import VaelensError
from .lens import Ablate, Add, Hit, Intervention, Lens, Patch, Run, Scale, Set, Site
from .metrics.causal import causal_effect_strength, circuit_modularity, intervention_specificity
from .metrics.disentanglement import DCI, dci, mig
from .models import CATALOGUE, VAE, TrainingResult, build_model, train
from .version import __version__

__all__ = [
    "CATALOGUE",
    "DATASETS",
    "DCI",
    "VAE",
    "Ablate",
    "Add",
    "Analysis",
    "ArrayDataset",
    "ArrayFile",
    "CausalDataset",
    "CollectionDataset",
    "FactorDataset",
    "FolderDataset",
    "Hit",
    "Intervention",
    "Lens",
    "Patch",
    "Run",
    "Scale",
    "Set",
    "Site",
    "StructuralModel",
    "TrainingResult",
    "VaelensError",
    "Variable",
    "__version__",
    "analyse",
    "build_model",
    "causal_effect_strength",
    "circuit_modularity",
    "dci",
    "decoder_responses",
    "input_effects",
    "intervention_specificity",
    "latent_effects",
    "load_dataset",
    "manipulate",
    "mediation_effects",
    "mig",
    "patching_effects",
    "path_effects",
    "train",
]
