"""Training by Adam on the model's objective, the same to the bit however often it is interrupted.

Costs what the model's passes cost; `python -m benchmarks --only training` has the ratio to a bare loop. The loop
itself is in `lightning_loop`.
"""

import shutil
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from vaelens.arguments import check_seed, whole_number
from vaelens.errors import VaelensError
from vaelens.models.annotations import Callbacks, Count, Data, DeviceName, Folder, Loggers, Model, Rate, Seed
from vaelens.models.batches import Batches, as_source, check_batch_size, check_held_out
from vaelens.models.checkpoints import (
    Checkpoint,
    check_same_run,
    load_checkpoint,
    restored,
    warn_of_other_conditions,
)
from vaelens.models.devices import find_device
from vaelens.models.diagnosis import Diagnosis, check_weights
from vaelens.models.fingerprint import fingerprint
from vaelens.models.hyperparameters import real_number
from vaelens.models.ledger import Ledger, kl_per_latent, scalars
from vaelens.models.run_folder import checkpoint_path, run_folder
from vaelens.models.step import TrainingStep
from vaelens.models.training_record import TrainingRecord
from vaelens.models.vae import VAE
from vaelens.paths import user_path

_MOST_STEPS = 10**12  # a loop over more than a machine's integers can't be begun


@dataclass(frozen=True)
class TrainingResult:
    """The result of a training run."""

    steps: int
    """Steps done, those before a resumption included."""
    terms: dict[str, float]
    """Each term of the loss, averaged over the last window of steps, in nats an image; `squared_error`, the mean
    squared error a pixel; `active_latents`, how many have a KL above 0.01 nat; and what schedules have set."""
    kl_per_latent: list[float]
    """Each latent's KL from the prior, averaged over the last window, in nats; empty for a model with a codebook."""
    history: pd.DataFrame
    """The same (columns; the latents' as kl_0, kl_1 …), averaged over each window of `log_every` steps (index: its
    last step)."""
    seconds: float
    """How long this call took."""
    device: str
    """What it ran on."""
    threads: int
    """On how many threads of the CPU."""


def train(
    model: Model,
    data: Data,
    steps: Count = 3000,
    batch_size: Count = 64,
    lr: Rate = 1e-3,
    seed: Seed = 0,
    progress: bool = True,
    device: DeviceName = "auto",
    folder: Folder | None = None,
    resume: bool = False,
    log_every: Count = 50,
    checkpoint_every: Count = 500,
    logger: Loggers = None,
    callbacks: Callbacks = (),
    overwrite: bool = False,
    held_out: Count = 0,
) -> TrainingResult:
    """Trains the model on the images, in place, by Adam.

    Batch and noise of step t depend on the seed and on t alone, so the same call gives the same weights on the same
    machine, and a run that is interrupted and resumed ends with the very weights of one that was not. Batches are
    drawn uniformly, the images of one without replacement.

    With a folder, the last checkpoint is kept in `checkpoints/last.safetensors` and the terms of the loss in
    `logs/metrics.csv`; without one, nothing is written. Ctrl-C leaves a checkpoint and says how to go on. The
    model's mode (train or eval) and device, and the global random state, are afterwards as before.

    A `VaelensWarning` says when the run goes on but is probably in vain: no latent has been active, or the codebook
    all but unused, for 500 steps (200 at the end), or the steps are too few for an annealed capacity; and when a run
    goes on with other threads, another device or another PyTorch, on which its last bits depend.

    Args:
        model: a `VAE`.
        data: a dataset (an object with `len(data)` and `data.images_at(indices)`) or a tensor of images; float32
            `(n, c, h, w)` in [0, 1].
        steps: how many steps to train in all, at least 1.
        batch_size: images a step, at least 1; for `factor-vae` at least 4, as it trains the model on the first half
            and takes codes with permuted latents from the second.
        lr: Adam's learning rate, above 0 and at most 1. Published runs take 1e-4. (The discriminator of a
            `factor-vae` has its own, a hyperparameter.)
        seed: draws the batches and the posterior's noise, at least 0. (The first weights: `build_model(seed=…)`.)
        progress: whether to show a progress bar on standard error.
        device: `auto` (an accelerator if there is one), `cpu`, `cuda`, `cuda:1`, `mps`.
        folder: where to keep checkpoint and log.
        resume: whether to go on from the folder's checkpoint. More steps than before may be asked for, nothing else
            that the numbers depend on may differ; that goes for the images too, which are known by a hash.
        log_every: steps over which terms are averaged and after which they are logged, at least 1.
        checkpoint_every: steps between checkpoints, at least 1; there is one after the last step too.
        logger: a Lightning logger, or several, besides the folder's.
        callbacks: Lightning callbacks, one or several; among them schedules (`WarmUp`, `Cyclical`, `CosineDecay`). What
            callbacks remember is not in the checkpoint; schedules remember nothing.
        overwrite: whether to replace what the folder holds of a run. It stays whole until the new run is done.
        held_out: images that no batch holds. Which ones depends on how many images there are and on nothing else, so
            that models trained on the same data from any seed leave the same; `vl.analyse` then takes those, from 128
            on, and `vl.compare` compares models image by image.

    Returns:
        What came of it; lower terms are better.

    Raises:
        VaelensError: if an argument is out of range, the images are not in [0, 1] or of another shape, the device is
            not there, there is nothing to resume or something that would be overwritten, another process trains in
            the folder, the folder cannot be written, a schedule sets what the model has not, or the loss is lost.
        KeyboardInterrupt: at Ctrl-C.

    References:
        Kingma, Ba: Adam: A Method for Stochastic Optimization (2015).

    Example:
        >>> import torch
        >>> from vaelens.models import build_model
        >>> model = build_model("vae", image_shape=(1, 8, 8), latent_dim=2)
        >>> train(model, torch.rand(20, 1, 8, 8), steps=4, batch_size=5, progress=False).steps
        4
    """
    begun = time.perf_counter()
    if not isinstance(model, VAE):
        raise VaelensError(f"train expects a vaelens VAE, not {type(model).__name__}; make one with build_model")
    steps, batch_size = whole_number("steps", steps, 1, _MOST_STEPS), check_batch_size(batch_size, model.observation)
    log_every = whole_number("log_every", log_every, 1)
    checkpoint_every = whole_number("checkpoint_every", checkpoint_every, 1)
    lr, seed, device = _check_lr(lr), check_seed(seed), find_device(device)
    source = as_source(data, model.observation)
    folder = None if folder is None else user_path("folder", folder)
    if folder is None and (resume or overwrite):
        option = "resume" if resume else "overwrite"
        raise VaelensError(f"{option}=True needs the folder of the run; give folder=")
    callbacks, loggers = _several(callbacks), _several(logger)
    schedules = _schedules(callbacks, model)
    held_out = check_held_out(held_out, len(source))
    Batches(source, model.observation, batch_size, seed, 0, steps, held_out).at(0)  # wrong images are refused first
    check_weights(model)
    run = {"model": model.config, "seed": seed, "batch_size": batch_size, "lr": lr, "images": len(source)}
    run |= {"data": fingerprint(source)} if folder is not None else {}
    run |= {"held_out": held_out} if held_out else {}
    run["schedules"] = schedules
    run["frozen"] = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    conditions = {"threads": torch.get_num_threads(), "device": device.type, "torch": torch.__version__}

    with nullcontext() if folder is None else run_folder(folder, resume, overwrite) as place:
        checkpoint = _checkpoint_to_resume(place, run, steps) if resume and place is not None else None
        step = TrainingStep(model, len(source) - held_out, seed)
        if place is not None:
            _check_room(place, step)
        ledger = Ledger(log_every, Diagnosis(model, lr).lost_loss)
        if checkpoint is not None and place is not None:
            path = checkpoint_path(place)
            warn_of_other_conditions(checkpoint, conditions, path)
            step = restored(checkpoint, step, path)
            ledger = Ledger(log_every, ledger.lost, checkpoint.step, **checkpoint.record)
        if ledger.step < steps:
            from vaelens.models.keeper import Plan  # imported when needed: Lightning is slow to import
            from vaelens.models.lightning_loop import run_steps

            batches = Batches(source, model.observation, batch_size, seed, ledger.step, steps, held_out)
            kept = place, folder, checkpoint_every, run, conditions
            run_steps(step, Plan(batches, lr, device, *kept, progress, loggers, callbacks), ledger, checkpoint)

    model.training_records = (*model.training_records, TrainingRecord.of(data, steps, batch_size, seed, held_out))
    history = pd.DataFrame(ledger.history()).astype({"step": int}).set_index("step")
    last = {str(name): float(value) for name, value in history.iloc[-1].items()}
    seconds = time.perf_counter() - begun
    return TrainingResult(
        ledger.step, scalars(last), kl_per_latent(last), history, seconds, str(device), conditions["threads"]
    )


def _checkpoint_to_resume(place: Path, run: dict[str, Any], steps: int) -> Checkpoint:
    path = checkpoint_path(place)
    checkpoint = load_checkpoint(path)
    check_same_run(checkpoint, run, path)
    if checkpoint.step > steps:
        raise VaelensError(
            f"the checkpoint {str(path)!r} is already at step {checkpoint.step}; ask for at least as many steps, "
            f"not {steps}"
        )
    return checkpoint


def _check_room(place: Path, step: TrainingStep) -> None:
    weights = sum(tensor.nbytes for tensor in step.state_dict().values())
    needed, free = 7 * weights, shutil.disk_usage(place).free  # two checkpoints, with two moments a weight; the model
    if free < needed:
        raise VaelensError(
            f"{str(place)!r} has {free:,} bytes free; checkpoints and model need {needed:,}: make room, or give a "
            "folder on another disk"
        )


def _check_lr(lr: Any) -> float:
    if not 0 < real_number(lr) <= 1:  # false for NaN too
        raise VaelensError(f"lr is {lr!r}; expected a learning rate above 0 and at most 1, such as 1e-3")
    return float(lr)


def _several(one_or_more: Any) -> list[Any]:
    if one_or_more is None:
        return []
    return list(one_or_more) if isinstance(one_or_more, list | tuple) else [one_or_more]


def _schedules(callbacks: list[Any], model: VAE) -> dict[str, str]:
    if not callbacks:
        return {}
    from vaelens.models.schedules import describe_schedules  # who has callbacks has imported Lightning

    return describe_schedules(callbacks, model)
