"""A training run's checkpoint: weights, optimisers and record in one safetensors file, replaced in one move.

A run killed at any moment leaves the last checkpoint whole. Nothing in it is a pickle.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from vaelens.errors import VaelensError
from vaelens.models.model_folder import apart


@dataclass(frozen=True)
class Checkpoint:
    """What a run needs to go on as if it had not stopped."""

    step: int
    """Steps done."""
    run: Mapping[str, Any]
    """What the run's numbers depend on: the model's config, the seed, the batch size …; as JSON holds it."""
    record: Mapping[str, Any]
    """The ledger's rows and window."""
    weights: Mapping[str, Tensor]
    """The model's, its codebook included."""
    discriminator: Mapping[str, Tensor]
    """The discriminator's weights; none where the objective has none."""
    optimizers: tuple[Mapping[int, Mapping[str, Tensor]], ...]
    """Each optimiser's state, by number of the parameter and name."""


def checkpoint_path(folder: Path) -> Path:
    """Where a run in that folder keeps its last checkpoint."""
    return folder / "checkpoints" / "last.safetensors"


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Writes the checkpoint; the one before is replaced once the new one is whole."""
    tensors = {f"model/{name}": tensor for name, tensor in checkpoint.weights.items()}
    tensors |= {f"discriminator/{name}": tensor for name, tensor in checkpoint.discriminator.items()}
    for number, optimizer in enumerate(checkpoint.optimizers):
        for parameter, state in optimizer.items():
            tensors |= {f"optimizer/{number}/{parameter}/{name}": tensor for name, tensor in state.items()}
    facts = {
        "step": checkpoint.step,
        "run": checkpoint.run,
        "record": checkpoint.record,
        "optimizers": len(checkpoint.optimizers),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    safetensors.torch.save_file(apart(tensors), unfinished, metadata={"checkpoint": json.dumps(facts)})
    unfinished.replace(path)


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint, onto the CPU.

    Raises:
        VaelensError: if there is none, or it is damaged.
    """
    if not path.is_file():
        raise VaelensError(f"there is nothing to resume: no {str(path)!r}; train with resume=False first")
    tensors: dict[str, Tensor] = {}
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            facts = json.loads(file.metadata()["checkpoint"])
            # cloned: the file is replaced while training, and what is read from it must not be tied to it
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except (OSError, safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise VaelensError(f"the checkpoint {str(path)!r} is damaged ({error}); delete it and train anew") from error
    weights: dict[str, Tensor] = {}
    discriminator: dict[str, Tensor] = {}
    optimizers: list[dict[int, dict[str, Tensor]]] = [{} for _ in range(facts["optimizers"])]
    for key, tensor in tensors.items():
        kind, name = key.split("/", 1)
        if kind == "model":
            weights[name] = tensor
        elif kind == "discriminator":
            discriminator[name] = tensor
        else:
            number, parameter, state = name.split("/")
            optimizers[int(number)].setdefault(int(parameter), {})[state] = tensor
    return Checkpoint(facts["step"], facts["run"], facts["record"], weights, discriminator, tuple(optimizers))


def check_same_run(checkpoint: Checkpoint, run: Mapping[str, Any], path: Path) -> None:
    """Refuses to go on with a run other than the checkpoint's.

    Raises:
        VaelensError: naming what differs.
    """
    differing = [
        f"{name} {checkpoint.run.get(name)!r}, not {run.get(name)!r}"
        for name in {**checkpoint.run, **run}
        if checkpoint.run.get(name) != run.get(name)
    ]
    if differing:
        raise VaelensError(
            f"the checkpoint {str(path)!r} is of another run: it was made with {'; '.join(differing)}; resume with "
            "the same, or train in another folder"
        )
