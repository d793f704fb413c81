"""What a model was trained on, the dataset and those of its images that were in a batch, recovered from the seed."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub.constants import SAFETENSORS_SINGLE_FILE
from jaxtyping import Bool

from vaelens.errors import VaelensError
from vaelens.models.batches import batch_indices
from vaelens.models.json_file import read_json

FILE = "training.json"
_LOOK = 1000  # steps after which it is asked whether all images were seen


@dataclass(frozen=True)
class TrainingRecord:
    """How a model was trained.

    Attributes:
        dataset: the dataset's description, `ds.describe()`, as JSON holds it.
        steps: how many there were.
        batch_size: images in each.
        seed: that the batches were drawn with.
        held_out: how many images no batch could hold.
    """

    dataset: Mapping[str, Any]
    steps: int
    batch_size: int
    seed: int
    held_out: int = 0

    @classmethod
    def of(cls, data: Any, steps: int, batch_size: int, seed: int, held_out: int = 0) -> "TrainingRecord | None":
        """Makes the record of a run on a dataset, or None of other images, which do not say what they are."""
        describe = getattr(data, "describe", None)
        if not callable(describe):
            return None
        return cls(json.loads(json.dumps(describe())), steps, batch_size, seed, held_out)

    @classmethod
    def read(cls, folder: Path) -> "TrainingRecord | None":
        """Reads the record of the run in a folder, or returns None if there is none or it is of other weights."""
        try:
            content = read_json(folder / FILE)
            if content["model_sha256"] != weights_sha256(folder):
                return None
            dataset, numbers = content["dataset"], [content[name] for name in ("steps", "batch_size", "seed")]
            numbers.append(content.get("held_out", 0))
        except (VaelensError, KeyError, OSError):
            return None
        length = dataset.get("length") if isinstance(dataset, dict) else None
        if any(type(number) is not int or number < 0 for number in (length, *numbers)) or numbers[-1] > length:
            return None
        return cls(dataset, *numbers)

    def seen(self) -> Bool[np.ndarray, " images"]:
        """Finds which images of the dataset were in a batch, by drawing all batches again."""
        length = int(self.dataset["length"])
        seen = np.zeros(length, dtype=bool)
        for step in range(self.steps):
            seen[batch_indices(self.seed, step, length, self.batch_size, self.held_out)] = True
            if step % _LOOK == 0 and seen.sum() == length - self.held_out:
                break
        return seen


def weights_sha256(folder: Path) -> str:
    """Computes the SHA-256 of a folder's file of weights."""
    with (folder / SAFETENSORS_SINGLE_FILE).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
