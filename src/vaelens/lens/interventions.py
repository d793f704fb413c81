"""The interventions, small frozen records that say which units of which site get which value.

Each knows only how to turn the units' present values into the new ones. The lens finds the site, gathers what
an intervention needs from other runs, and applies it.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import torch
from torch import Tensor

from vaelens.arguments import Numbers
from vaelens.errors import VaelensError, unknown
from vaelens.lens.direction import Direction
from vaelens.lens.partners import other_images
from vaelens.lens.regions import BoxLike, Region, UnitsLike, resolve_positions, resolve_units
from vaelens.lens.run import Run
from vaelens.lens.sites import Site
from vaelens.lens.subspace import Subspace

ValueLike = float | Numbers | Tensor

ABLATIONS = ("zero", "mean", "resample")


@dataclass(frozen=True, eq=False)
class Intervention(ABC):
    """The base class of interventions do(a_site[units] := …), whose subclasses say what the units are set to.

    Attributes:
        site: a site's name, or the path of a module in it.
        units: an index, several, or "all" (also None): every unit. A `Direction` has its coordinates in their place.
        positions: where the units are acted on: "all"; a position, an index for each axis (row, column); or a box, for
            each axis a slice or a pair (start, stop), the stop left out.
    """

    site: str
    units: UnitsLike
    positions: BoxLike = field(default="all", kw_only=True)

    @property
    def needs_base(self) -> bool:
        """Whether the activations of the unedited run must be known first."""
        return False

    def resolve_units(self, site: Site) -> tuple[int, ...]:
        """Resolves the units to their indices at a site.

        Raises:
            VaelensError: an index that is not there, not an integer, or named twice; no unit at all.
        """
        return resolve_units(self.units, site)

    def region(self, site: Site) -> Region | Subspace:
        """Resolves the units, or the coordinates along directions, and the positions at a site.

        Raises:
            VaelensError: units as above; directions that do not fit; positions that the site has not, or no position
                at all.
        """
        if isinstance(self.units, Direction):
            return Subspace(self.units.basis_of(site), resolve_positions(self.positions, site))
        return Region(self.resolve_units(site), resolve_positions(self.positions, site))

    def check(self, site: Site, images: int) -> None:
        """Refuses, before anything runs, values that do not fit a site or a number of images."""

    def gather(self, site: Site, base: Tensor | None) -> Tensor | None:
        """Gathers the values that the units are given, a row for each image or one for all. None if none are needed."""
        return None

    @abstractmethod
    def apply(self, current: Tensor, values: Tensor | None) -> Tensor:
        """Computes the units' new values.

        Args:
            current: the units' present values at the positions, (n, units, *positions).
            values: the rows of `gather` for these images, or None.
        """

    def change_along(self, subspace: Subspace, activation: Tensor, values: Tensor | None) -> Tensor:
        """Computes the change of the coordinates along directions, (n, directions, *positions).

        Args:
            subspace: the directions and positions.
            activation: (n, units, *positions of the site).
            values: the rows of `gather` for these images, or None.
        """
        current = subspace.take(activation)
        return self.apply(current, values) - current


@dataclass(frozen=True, eq=False)
class _Valued(Intervention):
    def check(self, site: Site, images: int) -> None:
        spread(self._value, self.region(site), images, site)

    @property
    @abstractmethod
    def _value(self) -> ValueLike: ...

    def gather(self, site: Site, base: Tensor | None) -> Tensor:
        return spread(self._value, self.region(site), None, site)


@dataclass(frozen=True, eq=False)
class Set(_Valued):
    """Sets units to a value, do(a[units] := value).

    Attributes:
        site: a site's name.
        units: an index, several, or "all".
        value: a number; one for each unit, (units,); one for each image and unit, (n, units) or (n, 1); or the
            activation of the units, (n, units, *positions), of which the part at `positions` is taken, or that part.
        positions: "all", a position or a box; see `Intervention`.
    """

    value: ValueLike

    @property
    def _value(self) -> ValueLike:
        return self.value

    def apply(self, current: Tensor, values: Tensor | None) -> Tensor:
        assert values is not None, "a valued intervention gathers its value"
        return values.expand_as(current)


@dataclass(frozen=True, eq=False)
class Add(_Valued):
    """Adds a value, shaped as that of `Set`, to units, do(a[units] := a[units] + value)."""

    value: ValueLike

    @property
    def _value(self) -> ValueLike:
        return self.value

    def apply(self, current: Tensor, values: Tensor | None) -> Tensor:
        assert values is not None, "a valued intervention gathers its value"
        return current + values


@dataclass(frozen=True, eq=False)
class Scale(_Valued):
    """Multiplies units by a factor, shaped as the value of `Set`, do(a[units] := factor · a[units])."""

    factor: ValueLike

    @property
    def _value(self) -> ValueLike:
        return self.factor

    def apply(self, current: Tensor, values: Tensor | None) -> Tensor:
        assert values is not None, "a valued intervention gathers its value"
        return current * values


@dataclass(frozen=True, eq=False)
class Ablate(Intervention):
    """Removes what units say about an image.

    Attributes:
        site: a site's name.
        units: an index, several, or "all".
        method: "zero" sets them to 0; "mean" to their mean over the images of this run, position by position;
            "resample" to their values on another image of this run, drawn by `seed` so that none keeps its own.
        seed: draws the other images of "resample".
        positions: "all", a position or a box; see `Intervention`.
    """

    method: str = "zero"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in ABLATIONS:
            raise unknown("ablation method", self.method, ABLATIONS)

    @property
    def needs_base(self) -> bool:
        return self.method != "zero"

    def check(self, site: Site, images: int) -> None:
        if self.method == "resample" and images < 2:
            raise VaelensError(
                f"resample ablation at {site.name} takes values from another image, but {images} was given; "
                "give at least 2"
            )

    def gather(self, site: Site, base: Tensor | None) -> Tensor | None:
        if base is None or self.method == "zero":  # of which the base may be there for another ablation's sake
            return None
        values = self.region(site).source(base)
        if self.method == "mean":
            return values.mean(dim=0, keepdim=True)
        return values[other_images(len(base), self.seed)]

    def apply(self, current: Tensor, values: Tensor | None) -> Tensor:
        return torch.zeros_like(current) if values is None else values.expand_as(current)

    def change_along(self, subspace: Subspace, activation: Tensor, values: Tensor | None) -> Tensor:
        return -subspace.take(activation) if values is None else subspace.change(values, activation)


@dataclass(frozen=True, eq=False)
class Patch(Intervention):
    """Sets units to their values in another run (activation patching), do(a[units] := a[units] of that run).

    Attributes:
        site: a site's name.
        units: an index, several, or "all".
        source: a `Run` that captured this site, or the whole site's activation (n, site units, *positions); n is
            the number of images of the run that is intervened on, or 1.
        positions: "all", a position or a box; see `Intervention`.
    """

    source: Run | Tensor

    def check(self, site: Site, images: int) -> None:
        source = self._activation()
        if tuple(source.shape[1:]) != site.shape or source.shape[0] not in (1, images):
            raise VaelensError(
                f"Patch at {site.name}: the source has shape {tuple(source.shape)}, expected "
                f"{(images, *site.shape)}: the whole site's activation, a row for each image of the base run"
            )

    def gather(self, site: Site, base: Tensor | None) -> Tensor:
        return self.region(site).source(self._activation())

    def apply(self, current: Tensor, values: Tensor | None) -> Tensor:
        assert values is not None, "a patch gathers its source"
        return values.expand_as(current)

    def change_along(self, subspace: Subspace, activation: Tensor, values: Tensor | None) -> Tensor:
        assert values is not None, "a patch gathers its source"
        return subspace.change(values, activation)

    def _activation(self) -> Tensor:
        if isinstance(self.source, Tensor):
            return self.source
        if not isinstance(self.source, Run):
            raise VaelensError(
                f"Patch at {self.site}: source is a {type(self.source).__name__}, expected a Run that captured "
                "this site or the site's activation as a tensor"
            )
        if self.site not in self.source.activations:
            raise VaelensError(
                f"Patch at {self.site}: the source run captured {', '.join(self.source.activations) or 'nothing'}; "
                f"make it with lens.run(x, capture=[{self.site!r}])"
            )
        return self.source.activations[self.site]


def spread(value: ValueLike, region: Region | Subspace, images: int | None, site: Site) -> Tensor:
    """Returns a value as a tensor that broadcasts to a region of a site, (images, its units, *its positions)."""
    try:
        tensor = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise VaelensError(f"value at {site.name} is {value!r}; expected a number or an array of numbers") from error
    if tensor.is_complex():
        raise VaelensError(f"value at {site.name} is complex; expected real numbers")
    units, whole = len(region.units), site.shape[1:]
    box = whole if region.positions is None else tuple(span.stop - span.start for span in region.positions)
    if tensor.ndim == 1 and tensor.shape[0] == units:
        tensor = tensor[None]
    rows = (1,) if images is None else (1, images)
    fits = tensor.ndim == 0 or (
        tensor.ndim in (2, 2 + len(whole))
        and (images is None or tensor.shape[0] in rows)
        and tensor.shape[1] in (1, units)
        and (tensor.ndim == 2 or tuple(tensor.shape[2:]) in (whole, box))
    )
    if not fits:
        raise VaelensError(
            f"value at {site.name} has shape {tuple(tensor.shape)}; expected a number, ({units},) one for each "
            f"unit, ({images}, {units}) one for each image and unit, or {(images, units, *whole)}"
            + (f" or {(images, units, *box)}" if box != whole else "")
        )
    if not torch.isfinite(tensor).all():
        raise VaelensError(f"value at {site.name} is not finite; give finite numbers")
    if tensor.ndim == 0:
        tensor = tensor[None, None]
    if tensor.ndim == 2:
        return tensor.reshape(*tensor.shape, *[1] * len(whole))
    return tensor if tuple(tensor.shape[2:]) == box else tensor[(slice(None), slice(None), *(region.positions or ()))]
