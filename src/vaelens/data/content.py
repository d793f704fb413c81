"""The hash of some observations and their factor values, by which two datasets are told apart."""

import hashlib

import torch

from vaelens.observation import Observation
from vaelens.shapes import FactorValues, Observations

HASHED_IMAGES = 256  # enough to tell datasets apart, few enough to hash at once


def content_hash(observation: Observation, x: Observations, factors: FactorValues) -> str:
    """Computes a SHA-256 of observations and their factor values.

    Where there is a range values are rounded to 8 bits of it, so that a last bit of floating point does not make
    another dataset.
    """
    digest = hashlib.sha256()
    if observation.low is not None and observation.high is not None:
        share = (x - observation.low) / (observation.high - observation.low)
        digest.update(share.mul(255).round().to(torch.uint8).numpy().tobytes())
    else:
        digest.update(x.numpy().astype("<f4").tobytes())
    digest.update(factors.numpy().astype("<i8").tobytes())
    return digest.hexdigest()
