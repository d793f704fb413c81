"""Variational autoencoders of images: building, training, saving and loading them."""

from vaelens.models.batches import ImageSource
from vaelens.models.catalogue import CATALOGUE, Hyperparameter, Objective
from vaelens.models.training import TrainingResult, train
from vaelens.models.vae import VAE, build_model

__all__ = [
    "CATALOGUE",
    "VAE",
    "Hyperparameter",
    "ImageSource",
    "Objective",
    "TrainingResult",
    "build_model",
    "train",
]
