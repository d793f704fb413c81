"""The first run of a part under hooks, which shows what it gives, also at each site, and how its rows depend."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor, nn

from vaelens.lens.cached_part import in_own_memory
from vaelens.lens.execution import execute
from vaelens.lens.hook_points import HookPoint
from vaelens.lens.incremental.traced_part import FirstRun, Sample, keep_sample
from vaelens.lens.isolation import isolated
from vaelens.lens.module_state import written_storages
from vaelens.lens.row_independence import Rows, rows_of


def first_run(
    model: nn.Module,
    function: Callable[[Tensor], Any],
    points: Mapping[str, HookPoint],
    example: Tensor,
    neighbours: Tensor | None = None,
) -> tuple[FirstRun, Rows]:
    """Runs a part of a model on two rows, and again to find out how they depend on each other.

    Args:
        model: the model.
        function: the part; runs modules of the model.
        points: where its sites are.
        example: two rows of input.
        neighbours: as of `rows_of`.
    """
    samples: dict[str, Sample] = {}
    edits = {name: partial(keep_sample, samples, name) for name in points}
    with isolated(model, copies=True):
        original, _ = execute(function, example.clone(), points, edits, ())
        result = in_own_memory(original, copied=True)
    rows = rows_of(model, function, example, original, result, neighbours)
    kept = written_storages(model)
    reuses_memory = rows.reuses_memory or any(sample.storage in kept for sample in samples.values())
    return FirstRun(result, samples), replace(rows, reuses_memory=reuses_memory)
