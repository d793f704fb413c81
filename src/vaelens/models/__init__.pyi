from .batches import ImageSource
from .catalogue import CATALOGUE, Hyperparameter, Objective
from .construction import build_model
from .schedules import CosineDecay, Cyclical, WarmUp
from .training import TrainingResult, train
from .vae import VAE

__all__ = [
    "CATALOGUE",
    "VAE",
    "CosineDecay",
    "Cyclical",
    "Hyperparameter",
    "ImageSource",
    "Objective",
    "TrainingResult",
    "WarmUp",
    "build_model",
    "train",
]
