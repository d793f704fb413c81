"""How far the outcomes of counterfactual rows are from the cached run's, and along what."""

from collections.abc import Callable, Collection, Sequence

import torch
from torch import Tensor

from vaelens.effects.record import Array
from vaelens.errors import VaelensError, unknown
from vaelens.lens import CODE, IMAGE, BatchLike, CachedRun, Counterfactuals, Intervention, Lens
from vaelens.observation import Observation

OUTCOMES = (CODE, IMAGE)


def run_cached(
    lens: Lens,
    images: BatchLike,
    first_row: int,
    sites: Collection[str],
    treatment: Sequence[Intervention] = (),
    rerun: bool = False,
    outcomes: Collection[str] = (),
) -> CachedRun:
    """Runs a chunk and caches the activations of some sites, and with `rerun` what running it again from them needs.

    The outcomes named are computed now, where a chunk that does not fit into memory can still be made smaller.

    Args:
        lens: the lens.
        images: the chunk.
        first_row: where in the order of all images it begins.
        sites: whose activations are cached.
        treatment: interventions that hold in every run.
        rerun: whether it will be run again from the sites.
        outcomes: "code" or "image".
    """
    run = lens.engine.cached_run(images, sites if rerun else (), treatment, capture=sites, first_row=first_row)
    for outcome in outcomes:
        run.value(outcome)
    return run


def checked_outcome(outcome: str, lens: Lens, sites: Collection[str], outcomes: Collection[str] = OUTCOMES) -> str:
    """Refuses an unknown outcome, and the code as the outcome of what comes after it.

    Raises:
        VaelensError: see above.
    """
    if outcome not in outcomes:
        raise unknown("outcome", outcome, outcomes)
    late = [name for name in sites if lens.sites[name].part != "encoder"]
    if outcome == CODE and late:
        raise VaelensError(f"{late[0]} comes after the code and can't change it; use outcome='image'")
    return outcome


def changes(
    counterfactuals: Counterfactuals,
    outcome: str,
    base_outcomes: Tensor,
    measured: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Computes Y' − Y of counterfactual rows, (m, cells), from all outcomes Y of the base run, (c, cells).

    Args:
        counterfactuals: the rows.
        outcome: which of their values Y' is.
        base_outcomes: as `measured` returns them.
        measured: what is measured of outcomes, (n, cells); they themselves by default.
    """
    outcomes = (measured or cells)(counterfactuals.values[outcome])
    return outcomes - base_outcomes.index_select(0, counterfactuals.images)


def products(left: Tensor, right: Tensor) -> Tensor:
    """Computes <left, right> of each row by the one operation whose bits are compared, (n,)."""
    return torch.linalg.vecdot(left, right)


def numbers(values: Tensor) -> Array:
    """Copies a tensor's values to the host in double precision, which waits for a GPU."""
    return values.cpu().double().numpy()


def add_rows(total: Tensor, counterfactuals: Counterfactuals, values: Tensor) -> None:
    """Adds numbers of counterfactual rows, (m, …), in place to those of all images and groups, (c, groups, …).

    Every image and group comes once at most.
    """
    at = counterfactuals.images, counterfactuals.rows.groups
    total[at] = total[at] + values


def sizes(change: Tensor, observation: Observation) -> Tensor:
    """Measures how large changes of observations, (n, *shape), are in their distance, L2 or Gower's, (n,)."""
    rows = cells(change)
    if not observation.weights:
        return rows.norm(dim=1)
    return rows.abs() @ torch.tensor(observation.weights, dtype=rows.dtype, device=rows.device)


def cells(outcomes: Tensor) -> Tensor:
    """Flattens outcomes to rows of numbers, (n, cells), of at least single precision."""
    return outcomes.flatten(1).to(torch.promote_types(outcomes.dtype, torch.float32))
