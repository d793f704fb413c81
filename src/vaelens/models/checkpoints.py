"""A training run's checkpoint, with weights, optimisers and record in one safetensors file, replaced in one move.

A run killed at any moment leaves the last checkpoint whole. Nothing in it is a pickle.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vaelens.errors import VaelensError, VaelensWarning
from vaelens.models.ledger import Row
from vaelens.models.model_folder import load_weights
from vaelens.models.step import TrainingStep
from vaelens.models.tensor_file import read_tensors, write_tensors
from vaelens.writing import written_whole

_CURE = "train anew, replacing it by overwrite=True (--overwrite)"


@dataclass(frozen=True)
class Checkpoint:
    """What a run needs to go on as if it had not stopped."""

    step: int
    """Steps done."""
    run: Mapping[str, Any]
    """What the run's numbers depend on: the model's config, the seed, the batch size …; as JSON holds it."""
    conditions: Mapping[str, Any]
    """What its last bits depend on besides: threads, device, PyTorch."""
    record: Mapping[str, Sequence[Row]]
    """The ledger's rows and window."""
    weights: Mapping[str, Tensor]
    """The model's, its codebook included."""
    discriminator: Mapping[str, Tensor]
    """The discriminator's weights; none where the objective has none."""
    optimizers: tuple[Mapping[int, Mapping[str, Tensor]], ...]
    """Each optimiser's state, by number of the parameter and name."""


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Writes the checkpoint, and replaces the one before once the new one is whole.

    Raises:
        VaelensError: if it cannot be written.
    """
    tensors = {f"model/{name}": tensor for name, tensor in checkpoint.weights.items()}
    tensors |= {f"discriminator/{name}": tensor for name, tensor in checkpoint.discriminator.items()}
    for number, optimizer in enumerate(checkpoint.optimizers):
        for parameter, state in optimizer.items():
            tensors |= {f"optimizer/{number}/{parameter}/{name}": tensor for name, tensor in state.items()}
    columns: dict[str, list[str]] = {}
    for part, rows in checkpoint.record.items():  # as a tensor: a header of millions of rows could not be read again
        columns[part] = list(rows[0]) if rows else []
        values = [[row[name] for name in columns[part]] for row in rows]
        tensors[f"record/{part}"] = torch.tensor(values, dtype=torch.float64)
    facts = {
        "step": checkpoint.step,
        "run": checkpoint.run,
        "conditions": checkpoint.conditions,
        "columns": columns,
        "optimizers": len(checkpoint.optimizers),
    }
    with written_whole(path.parent) as unfinished:
        write_tensors(unfinished / path.name, tensors, facts)


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint onto the CPU.

    Raises:
        VaelensError: if there is none, or it is damaged.
    """
    if not path.is_file():
        raise VaelensError(f"there is nothing to resume: no {str(path)!r}; train with resume=False first")
    tensors, facts = read_tensors(path, _CURE)
    try:
        return _parsed(facts, tensors)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise VaelensError(f"{str(path)!r} is damaged ({type(error).__name__}: {error}); {_CURE}") from error


def _parsed(facts: Any, tensors: Mapping[str, Tensor]) -> Checkpoint:
    weights: dict[str, Tensor] = {}
    discriminator: dict[str, Tensor] = {}
    optimizers: list[dict[int, dict[str, Tensor]]] = [{} for _ in range(min(int(facts["optimizers"]), 2))]
    record: dict[str, list[Row]] = {}
    for key, tensor in tensors.items():
        kind, name = key.split("/", 1)
        if kind == "model":
            weights[name] = tensor
        elif kind == "discriminator":
            discriminator[name] = tensor
        elif kind == "record":
            columns = facts["columns"][name]
            rows = tensor.reshape(-1, len(columns)).tolist() if columns else []
            record[name] = [dict(zip(columns, row, strict=True)) for row in rows]
        else:
            number, parameter, state = name.split("/")
            optimizers[abs(int(number))].setdefault(int(parameter), {})[state] = tensor
    for row in record["rows"]:
        row["step"] = int(row["step"])
    step, run, conditions = facts["step"], dict(facts["run"]), dict(facts["conditions"])
    if isinstance(step, bool) or not isinstance(step, int) or step < 0:
        raise ValueError(f"step is {step!r}")
    whole = {"rows": record["rows"], "window": record["window"]}
    return Checkpoint(step, run, conditions, whole, weights, discriminator, tuple(optimizers))


def check_same_run(checkpoint: Checkpoint, run: Mapping[str, Any], path: Path) -> None:
    """Refuses to go on with a run other than the checkpoint's.

    Raises:
        VaelensError: naming what differs.
    """
    differing = [
        f"{name} {_short(checkpoint.run.get(name))}, not {_short(run.get(name))}"
        for name in {**checkpoint.run, **run}
        if checkpoint.run.get(name) != run.get(name)
    ]
    if differing:
        raise VaelensError(
            f"the checkpoint {str(path)!r} is of another run: it was made with {'; '.join(differing)}; resume with "
            "the same, or train in another folder"
        )


def _short(value: Any) -> str:
    """Writes a value in words, and a hash by its beginning."""
    return f"of the hash {value[:12]}" if isinstance(value, str) and len(value) == 64 else repr(value)


def warn_of_other_conditions(checkpoint: Checkpoint, conditions: Mapping[str, Any], path: Path) -> None:
    """Warns where the run goes on under conditions that change the last bits."""
    differing = [
        f"{name} {before!r}, not {conditions.get(name)!r}"
        for name, before in checkpoint.conditions.items()
        if conditions.get(name) != before
    ]
    if differing:
        warnings.warn(
            f"the checkpoint {str(path)!r} was made with {'; '.join(differing)}: the run goes on, but its last bits "
            "may differ from those of one that was not interrupted; set OMP_NUM_THREADS, or device, as it was",
            VaelensWarning,
            stacklevel=3,
        )


def restored(checkpoint: Checkpoint, step: TrainingStep, path: Path) -> TrainingStep:
    """Gives the checkpoint's weights to the step's model, and returns the step with its discriminator.

    The optimisers take their states when they are made.

    Raises:
        VaelensError: if anything in the checkpoint does not fit; the model is then as before.
    """
    discriminator = {} if step.discriminator is None else step.discriminator.state_dict()
    modules = [step.model, *([] if step.discriminator is None else [step.discriminator])]
    fault = None
    if _shapes(discriminator) != _shapes(checkpoint.discriminator):
        fault = "its discriminator is another"
    elif len(checkpoint.optimizers) != len(modules):
        fault = f"it has {len(checkpoint.optimizers)} optimisers, not {len(modules)}"
    else:
        for module, state in zip(modules, checkpoint.optimizers, strict=True):
            trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
            if not all(0 <= k < len(trained) and _is_adam(moments, trained[k]) for k, moments in state.items()):
                fault = "an optimiser's state does not fit the weights"
    if fault is not None:
        raise VaelensError(f"{str(path)!r} is damaged ({fault}); {_CURE}")
    load_weights(step.model, dict(checkpoint.weights), path)
    step = TrainingStep(step.model, step.dataset_size, seed=0)  # of the type that the weights now have
    if step.discriminator is not None:
        step.discriminator.load_state_dict(dict(checkpoint.discriminator))
    return step


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}


def _is_adam(moments: Mapping[str, Tensor], parameter: Tensor) -> bool:
    """Says whether these are what Adam keeps of a parameter."""
    shapes = {"step": torch.Size([]), "exp_avg": parameter.shape, "exp_avg_sq": parameter.shape}
    numbers = all(tensor.is_floating_point() and torch.isfinite(tensor).all() for tensor in moments.values())
    return _shapes(moments) == shapes and numbers and bool((moments["exp_avg_sq"] >= 0).all())
