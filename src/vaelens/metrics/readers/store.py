"""Trained readers in the cache folder, weights and scores in one safetensors file that is put in place once whole.

A file that is missing, damaged or of other settings is no error: the reader is trained anew. Nothing is a pickle.
"""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from vaelens.cache import cache_folder
from vaelens.metrics.readers.network import ReaderNetwork
from vaelens.metrics.readers.score import FactorScore
from vaelens.models.tensor_file import apart


def identity_of(recipe: Mapping[str, Any]) -> str:
    """Computes 64 hexadecimal digits of all that a reader depends on.

    Args:
        recipe: plain values, as JSON holds them.

    Example:
        >>> identity_of({"steps": 1, "seed": 0}) == identity_of({"seed": 0, "steps": 1})
        True
    """
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()


def save(identity: str, recipe: Mapping[str, Any], network: ReaderNetwork, scores: Sequence[FactorScore]) -> None:
    """Keeps a reader in the cache.

    Where the folder can't be written, the next call trains it again.
    """
    facts = json.dumps({"recipe": recipe, "scores": [asdict(score) for score in scores]})
    data = safetensors.torch.save(apart(network.state_dict()), metadata={"reader": facts})
    path = _path(identity)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.stem}-", suffix=".part")
        part = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def load(identity: str, network: ReaderNetwork) -> tuple[FactorScore, ...] | None:
    """Puts kept weights into a network and returns the scores, None where there are none or the file is damaged."""
    weights: dict[str, Tensor] = {}
    try:
        with safetensors.safe_open(_path(identity), framework="pt") as file:
            facts = json.loads(file.metadata()["reader"])
            scores = tuple(FactorScore(**score) for score in facts["scores"])
            weights = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except (OSError, safetensors.SafetensorError, ValueError, KeyError, TypeError):
        return None
    shapes, expected = ({name: w.shape for name, w in tensors.items()} for tensors in (weights, network.state_dict()))
    if shapes != expected:
        return None
    network.load_state_dict(weights)
    return scores


def _path(identity: str) -> Path:
    return cache_folder() / "readers" / f"{identity}.safetensors"
