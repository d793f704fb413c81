"""The independence of a part's rows, where no row draws random numbers, influences another or decides for it.

Rows that are not independent are run in the chunks in which `lens.run` runs them, every row of a chunk at once.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vaelens.errors import VaelensError
from vaelens.lens.cached_part import first_result
from vaelens.lens.isolation import isolated, random_states
from vaelens.lens.same_tensors import same_but_rounding
from vaelens.lens.value_reads import reads_values

_LARGE = 2**20  # numbers of two rows' result
_FAR = 10.0  # times the largest value
_CLOSE = 1e-4  # of the largest value: kernels for one row round otherwise than those for two


@dataclass(frozen=True)
class Rows:
    """How the rows of a part depend on each other.

    Attributes:
        reason: a clause that says why they are not independent; empty where they are.
        reuses_memory: whether a run writes over what an earlier one returned.
        draws: whether it draws random numbers.
        refuses_one: whether it takes no row alone.
    """

    reason: str = ""
    reuses_memory: bool = False
    draws: bool = False
    refuses_one: bool = False

    @property
    def coupled(self) -> bool:
        """Whether a row's result depends on the others, or on its place among them."""
        return bool(self.reason)

    def check_number(self, rows: int, model: nn.Module) -> None:
        """Checks that a model takes so many rows at once.

        Raises:
            VaelensError: it is one, and the model takes none alone.
        """
        if rows == 1 and self.refuses_one:
            raise VaelensError(
                f"{type(model).__name__} does not run on one image alone, as batch normalisation in training mode does "
                "not, and one is given, or left for the last chunk of many: give two or more, or one fewer"
            )


def rows_of(
    model: nn.Module,
    function: Callable[[Tensor], Any],
    example: Tensor,
    original: Any,
    result: Any,
    neighbours: Tensor | None = None,
) -> Rows:
    """Finds out how the rows of a part depend on each other, by running it again, whole and row by row.

    Args:
        model: the model.
        function: the part; runs modules of the model.
        example: its input, of two rows or more.
        original: what it returned for them, in its own memory.
        result: a copy of it.
        neighbours: rows of input that are as extreme as may be, (3, …), beside which the first of the example's is run
            too: what a batch's largest value decides, such as its scale, may not show in others. None where there are
            none; of a large result they are left out, since each run would take long.

    Raises:
        VaelensError: from the same random state it returns something else.
    """
    with isolated(model) as state:
        before = random_states(example.device)
        repeated = function(example.clone())
        draws = random_states(example.device) != before or state.drew()
        reuses_memory = _shares_memory(original, repeated)
        expected = first_result(result)
        differs = not _close(first_result(repeated), expected)
    if differs:
        raise VaelensError(
            f"{type(model).__name__} gives other values each time it is given the same images, although torch's, "
            "NumPy's and Python's random states are the same; a lens compares runs, so fix what it draws from"
        )
    if draws:
        alone = _alone(model, function, example[:1])
        return Rows("it draws random numbers", reuses_memory, draws=True, refuses_one=alone is None)
    with isolated(model):
        reads = reads_values(function, example.clone())
    if reads:
        reason = "its code reads values of its input, so that one row may decide for all of a batch"
        return Rows(reason, reuses_memory, refuses_one=_alone(model, function, example[:1]) is None)
    for row in range(len(example)):
        alone = _alone(model, function, example[row : row + 1])
        if alone is None:
            return Rows("it does not take one image alone", reuses_memory, refuses_one=True)
        if alone.shape != expected[row : row + 1].shape or not _close(alone[0], expected[row]):
            return Rows("what it makes of an image depends on the others of its batch", reuses_memory)
    if expected.numel() > _LARGE:
        neighbours = None
    if neighbours is not None and not _same_beside(model, function, example[0], neighbours, expected[0]):
        return Rows("what it makes of an image depends on the others of its batch", reuses_memory)
    return Rows("", reuses_memory)


def extremes(rows: Tensor, low: float | None, high: float | None) -> Tensor:
    """Makes up rows (3, …) of the extreme values of a range by turns, or without one of values far outside the rows'.

    The first two are on opposite sides of the range's middle, the third is halfway between it and the first.
    """
    if low is None or high is None:
        high = _FAR * max(1.0, float(rows.abs().nan_to_num(0, 0, 0).max()))
        low = -high
    offsets = torch.full_like(rows[0], (high - low) / 2).flatten()
    offsets[::2] *= -1
    return (low + high) / 2 + torch.stack([share * offsets.view(rows[0].shape) for share in (1, -1, 0.5)])


def _alone(model: nn.Module, function: Callable[[Tensor], Any], row: Tensor) -> Tensor | None:
    """Runs one row alone, and returns a copy of its result, or None where the model counts on more than one."""
    try:
        with isolated(model):
            return first_result(function(row.clone())).clone()
    except Exception:
        return None


def _same_beside(
    model: nn.Module, function: Callable[[Tensor], Any], row: Tensor, neighbours: Tensor, expected: Tensor
) -> bool:
    """Tells whether a row's result, and each neighbour's, is the same beside another and on its other side."""

    def results(*batch: Tensor) -> Tensor:  # of two rows: more of a large model would take much memory
        with isolated(model):
            return first_result(function(torch.stack(batch))).clone()

    far, opposite, nearer = neighbours
    try:
        first, second, third = results(row, far), results(far, nearer), results(nearer, opposite)
    except Exception:  # it may refuse such neighbours
        return True
    return _close(first[0], expected) and _close(second[0], first[1]) and _close(third[0], second[1])


def _close(values: Tensor, expected: Tensor) -> bool:
    return same_but_rounding(values, expected, _CLOSE)


def _shares_memory(original: Any, repeated: Any) -> bool:
    """Tells whether two runs returned the same memory, although the first result is still held."""
    ends = [{tensor.untyped_storage().data_ptr() for tensor in _tensors(run)} for run in (original, repeated)]
    return bool(ends[0] & ends[1])


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for element in value:
            yield from _tensors(element)
