"""Observations from outside as a tensor, checked for number of axes, shape, type and range."""

from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from vaelens.dense_arrays import dense_tensor, extremes
from vaelens.errors import VaelensError

TOLERANCE = 1e-4  # interpolation and float conversion overshoot a range by this much, a wrong scale by far more


@runtime_checkable
class Kind(Protocol):
    """What observations are, as `Observation` says it."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one observation."""
        ...

    @property
    def low(self) -> float | None:
        """The smallest value."""
        ...

    @property
    def high(self) -> float | None:
        """The largest value."""
        ...

    @property
    def noun(self) -> str:
        """What several are called."""
        ...

    @property
    def several(self) -> str:
        """The shape of several, in words."""
        ...

    @property
    def span(self) -> str:
        """The range in words."""
        ...

    def check_range(self, low: float, high: float, tolerance: float = 0.0) -> None:
        """Refuses values out of the range."""
        ...


def checked_array(x: Any, kind: Kind, shape: tuple[int, ...] | None) -> Tensor:
    """Returns observations of a kind as a float tensor, each of a shape, or of any that the kind has.

    Raises:
        VaelensError: see above.
    """
    many = kind.noun
    several = kind.several
    ranged = kind.low is not None
    values = dense_tensor(x, many, f"{several} in {kind.span}" if ranged else several, kind.span)
    size = tuple(values.shape)
    axes = len(kind.shape)
    if values.ndim != axes + 1:
        hint = "; add a batch axis with x[None]" if values.ndim == axes else ""
        raise VaelensError(f"{many} have shape {size}, expected {several}{hint}")
    if shape is not None and size[1:] != shape:
        turned = axes == 3 and (size[3], *size[1:3]) == shape
        hint = "; move the channel axis with x.permute(0, 3, 1, 2)" if turned else ""
        raise VaelensError(f"{many} have shape {size[1:]} each, this model takes {shape}{hint}")
    if size[0] == 0:
        raise VaelensError(f"no {many} given (n = 0); give at least one")
    if not values.is_floating_point():
        if ranged or values.is_complex():
            hint = "; for 0..255 use x / 255" if (kind.low, kind.high) == (0, 1) else ""
            raise VaelensError(f"{many} have type {values.dtype}, expected floats in {kind.span}{hint}")
        values = values.double()
    kind.check_range(*extremes(values), TOLERANCE * (kind.high - kind.low if ranged else 1))  # pyright: ignore
    return values
