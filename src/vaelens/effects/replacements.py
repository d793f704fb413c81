"""The interventions of a mode, which sets each latent or position in turn to each of several values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaelens.effects.codes import Codes
from vaelens.effects.record import Array
from vaelens.errors import VaelensError
from vaelens.lens import other_images

LATENTS, DIRECTIONS, POSITION = "latent", "direction", "position"
Rows = slice | Tensor  # which of all images, one after the other or by their indices


@dataclass(frozen=True, eq=False)
class Replacements:
    """The interventions that a mode makes.

    Attributes:
        over: what is intervened on one at a time, and so the dimension of the results: "latent", "direction" or
            "position".
        units: how many latents or positions there are.
        labels: one label for each value, (values,): the value, the shift in standard deviations, or the draw.
        changed: (rows, unit, value index) to the codes of those images after the intervention, (rows, d, *positions).
        cells: (codes, rows, unit) to the values that are set of a unit, (rows, cells); None for positions.
        attributes: what a result says of the mode.
    """

    over: str
    units: int
    labels: Array
    changed: Callable[[Rows, int, int], Tensor]
    cells: Callable[[Tensor, Rows, int], Tensor] | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def changed_at_once(self, rows: Rows, k: int) -> Tensor:
        """Computes the codes of some images after the interventions on all units at once, (rows, d, *positions)."""
        by_unit = [self.changed(rows, unit, k) for unit in range(self.units)]
        if self.over != POSITION:
            whole = by_unit[0].clone()
            for unit, codes in enumerate(by_unit):
                whole[:, unit] = codes[:, unit]
            return whole
        shape = by_unit[0].shape
        flat = [codes.reshape(*shape[:2], -1) for codes in by_unit]  # one position where the latent has none
        return torch.stack([codes[:, :, unit] for unit, codes in enumerate(flat)], dim=2).reshape(shape)


Mode = Callable[[Codes, Any, int], Replacements]


def partners(codes: Codes, draws: int, seed: int) -> list[Tensor]:
    """Draws another image for each image, (n,), once for each draw.

    Raises:
        VaelensError: one image alone.
    """
    return [torch.as_tensor(other_images(len(codes.z), seed + k), device=codes.z.device) for k in range(draws)]


def draw_count(values: Any, mode: str, default: int) -> int:
    """Checks how many draws for each image a mode is asked for.

    Raises:
        VaelensError: no whole number of at least 1.
    """
    draws = default if values is None else values
    if isinstance(draws, bool) or not isinstance(draws, int | np.integer) or draws < 1:
        raise VaelensError(
            f"values of mode {mode!r} is {values!r}; expected the number of draws for each image, 1 or more"
        )
    return int(draws)
