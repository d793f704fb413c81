"""The fingerprint of training data, by which a resumed run knows that it is given the same again."""

import hashlib
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from vaelens.errors import VaelensWarning
from vaelens.models.batches import ImageSource

_SAMPLE = 256  # images: enough to tell data apart, few enough to look at before every run
_TWICE = 4  # images asked for again, to see whether they are the same


def fingerprint(source: ImageSource) -> str:
    """Returns a hash of the data, its own where it describes itself as vaelens' datasets do, or that of a few images.

    Images that differ from one call to the next (a random augmentation) have none, and a warning says what follows.
    """
    count = len(source)
    indices = np.random.default_rng(0).choice(count, size=min(_SAMPLE, count), replace=False)
    few = indices[:_TWICE]
    if not torch.equal(source.images_at(few), source.images_at(few)):
        warnings.warn(
            "the data gives other images when it is asked for the same ones again, as with a random augmentation; "
            "training goes on, but a run that is resumed will not end as one that was not interrupted",
            VaelensWarning,
            stacklevel=4,
        )
        return "other images every time"
    try:
        described: Any = source.describe()  # pyright: ignore[reportAttributeAccessIssue]: of vaelens' datasets
    except Exception:  # whatever others call so
        described = None
    if isinstance(described, Mapping) and isinstance(described.get("content_sha256"), str):
        return described["content_sha256"]
    return hashlib.sha256(source.images_at(indices).detach().cpu().contiguous().numpy().data).hexdigest()
