"""What the rest of a study will cost, from the cells that are done, or from a few steps of training."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vaelens.study.cell import Cell
from vaelens.study.done_cells import DoneCell
from vaelens.study.execution import dataset
from vaelens.study.folder import Named

_STEPS = 6  # of training that are timed, after one that warms up


@dataclass(frozen=True)
class Cost:
    """What cells cost on one worker.

    Attributes:
        seconds: of processor time, about.
        timed: how many cells' costs were measured rather than inferred from cells like them.
        trained_alone: whether the costs are those of training alone, since no cell is done.
    """

    seconds: float
    timed: int
    trained_alone: bool


def cost_of(done: Sequence[DoneCell], left: Sequence[Named], root: Path | None) -> Cost:
    """Estimates what cells cost that are not done, `left`, by those that are, `done`.

    Where a cell of the same dataset and model is done, a cell costs what it did, its training in proportion to the
    steps; else the mean of those that are done. Where none is, a few steps of every model are timed.
    """
    costs = [(_where(each.cell), (each.training / _steps(each.cell), each.analysis)) for each in done]
    mean_costs = {where: np.array([pair for place, pair in costs if place == where]).mean(axis=0) for where, _ in costs}
    if not left:
        return Cost(0.0, 0, False)
    if not done:
        step = {where: _step_seconds(cell, root) for where, cell in {_where(n.cell): n.cell for n in left}.items()}
        return Cost(sum(step[_where(n.cell)] * _steps(n.cell) for n in left), 0, True)
    usual = np.array([pair for _, pair in costs]).mean(axis=0)
    seconds = 0.0
    for named in left:
        training, analysis = mean_costs.get(_where(named.cell), usual)
        seconds += training * _steps(named.cell) + analysis
    return Cost(float(seconds), sum(_where(named.cell) in mean_costs for named in left), False)


def _where(cell: Cell) -> tuple[str, str]:
    return cell.dataset, cell.model


def _steps(cell: Cell) -> int:
    return int(cell.configuration["training"]["steps"])


def _step_seconds(cell: Cell, root: Path | None) -> float:
    """Times a step of training on one thread."""
    import torch

    import vaelens as vl

    asked, options = cell.configuration["model"], cell.configuration["dataset"]
    ds = dataset(options["name"], json.dumps(options["options"], sort_keys=True), root)
    threads = torch.get_num_threads()
    torch.set_num_threads(cell.configuration["threads"])
    try:
        model = vl.build_model(
            asked["name"], ds.image_shape, asked["latent_dim"], asked["likelihood"], **asked["hyperparameters"]
        )
        training = {"batch_size": cell.configuration["training"]["batch_size"], "progress": False}
        vl.train(model, ds, steps=1, **training)
        once = time.perf_counter()
        vl.train(model, ds, steps=1, **training)
        begun = time.perf_counter()
        vl.train(model, ds, steps=1 + _STEPS, **training)
        ended = time.perf_counter()
        return max((ended - begun) - (begun - once), 1e-4) / _STEPS
    finally:
        torch.set_num_threads(threads)
