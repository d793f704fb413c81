"""Counterfactual worlds: a chunk of images run under a treatment, and run again with regions held at other values.

What levels 3 and 4 are made of: the lens's replays, with what is asked of their outcomes.
"""

from collections.abc import Callable, Collection, Sequence

import torch
from torch import Tensor

from vaelens.effects.record import Array
from vaelens.errors import VaelensError, unknown
from vaelens.lens import Intervention, Lens
from vaelens.lens.replay import CODE, IMAGE, Again, Replay

World = Replay
OUTCOMES = (CODE, IMAGE)


def world(
    lens: Lens,
    images: Tensor,
    sites: Collection[str],
    treatment: Sequence[Intervention] = (),
    again: bool = False,
    outcomes: Collection[str] = (),
) -> World:
    """Run a chunk and keep the activations of some sites; with `again` also what running again from them needs.

    The outcomes named are computed now, where a chunk that does not fit into memory can still be made smaller.
    """
    made = lens.replay(images, sites if again else (), treatment, capture=sites)
    for kind in outcomes:
        made.outcome(kind)
    return made


def checked_outcome(outcome: str, lens: Lens, sites: Collection[str], known: Collection[str] = OUTCOMES) -> str:
    """Refuse an unknown outcome, and the code as the outcome of what comes after it.

    Raises:
        VaelensError: see above.
    """
    if outcome not in known:
        raise unknown("outcome", outcome, known)
    late = [name for name in sites if lens.sites[name].part != "encoder"]
    if outcome == CODE and late:
        raise VaelensError(f"{late[0]} comes after the code and can't change it; use outcome='image'")
    return outcome


def changes(some: Again, start: Tensor, measured: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """Y' − Y of counterfactual rows, (m, cells), from all outcomes Y of the world that was changed, (c, cells).

    Args:
        some: the rows.
        start: as `measured` gives it.
        measured: what is measured of outcomes, (n, cells); they themselves by default.
    """
    return (measured or cells)(some.outcomes) - start.index_select(0, some.rows)


def products(some: Tensor, others: Tensor) -> Tensor:
    """<a, b> of each row, (n,): one operation wherever products are compared, so that equal rows give equal bits."""
    return torch.linalg.vecdot(some, others)


def numbers(values: Tensor) -> Array:
    """A tensor's values on the host, in double precision; waits for a GPU to have them."""
    return values.cpu().double().numpy()


def add_rows(total: Tensor, some: Again, values: Tensor) -> None:
    """Add numbers of counterfactual rows, (m, …), to those of all images and groups, (c, groups, …), where they are.

    Every image and group comes once at most.
    """
    at = some.rows, some.tasks.groups
    total[at] = total[at] + values


def cells(outcomes: Tensor) -> Tensor:
    """Outcomes as rows of numbers, (n, cells), of at least single precision."""
    return outcomes.flatten(1).to(torch.promote_types(outcomes.dtype, torch.float32))
