"""Named manipulations of observations, of all features or of some, for level 1 on data without factors.

Every manipulation is one function of the same signature; a new one is a new function and a line in a table. It takes a
few observations at a time, so that many need no memory but their own.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from types import MappingProxyType
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vaelens.arguments import Seed, check_seed
from vaelens.effects.pixel_manipulations import BLOCK, MANIPULATIONS, noise
from vaelens.errors import VaelensError, unknown
from vaelens.observation import Observation, checked_images

FeaturesLike = int | str | Sequence[int | str]  # names, or indices on the first axis

_MOST = 64  # features or groups that are manipulated one at a time where none are named

_Function = Callable[[Tensor, float, torch.Generator], Tensor]


@dataclass(frozen=True)
class Manipulation:
    """A manipulation of observations, or of some of their features.

    Attributes:
        name: of vectors "permute" (each takes the values of another, drawn among 64 at a time; strength = the share
            that does), "set" (to `strength`), "shift" (by `strength`) or "noise" (of standard deviation `strength`); of
            series and volumes "mask" (0 in a box at a place drawn for each, strength = its share of each axis), "shift"
            (along the last axis by a share of its length, 0 coming in) or "noise"; of images those of `vl.manipulate`.
        strength: how much; each manipulation's own default when None.
        features: a feature, several, or the name of a group: names, or indices on the first axis; None for all.

    Example:
        >>> Manipulation("permute", features=["petal length", "petal width"]).features
        ['petal length', 'petal width']
    """

    name: str
    strength: float | None = None
    features: FeaturesLike | None = None


def set_values(x: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Sets every value to `strength`."""
    return torch.full_like(x, strength)


def add(x: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Adds `strength` to every value."""
    return x + strength


def permute(x: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Gives a share of the observations each the values of another one of them."""
    chosen = torch.randperm(len(x), generator=generator)[: round(strength * len(x))]
    changed = x.clone()
    changed[chosen.to(x.device)] = x[chosen.roll(1).to(x.device)]
    return changed


def mask(x: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Sets a box to 0, at a place drawn for each observation, whose sides are `strength` of each axis."""
    covered = torch.ones(1, dtype=torch.bool)
    for axis, size in enumerate(x.shape[2:], start=2):
        side = max(1, round(strength * size))
        shape = [1] * x.ndim
        start = torch.randint(size - side + 1, (len(x), *shape[1:]), generator=generator)
        shape[axis] = size
        places = torch.arange(size).reshape(shape)
        covered = covered & (places >= start) & (places < start + side)
    return x.masked_fill(covered.to(x.device), 0.0)


def shift_along(x: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Moves values along the last axis by `strength` of its length, at least by one, 0 coming in."""
    steps = max(1, round(strength * x.shape[-1]))
    return functional.pad(x, (steps, -steps))


# (function, default strength, the strength's bounds: above the first, at most the second)
_ANY, _POSITIVE, _SHARE = (-math.inf, math.inf), (0.0, math.inf), (0.0, 1.0)
OF_VECTORS: Mapping[str, tuple[_Function, float, tuple[float, float]]] = MappingProxyType(
    {
        "permute": (permute, 1.0, _SHARE),
        "set": (set_values, 0.0, _ANY),
        "shift": (add, 1.0, _ANY),
        "noise": (noise, 1.0, _POSITIVE),
    }
)
OF_SERIES: Mapping[str, tuple[_Function, float, tuple[float, float]]] = MappingProxyType(
    {
        "mask": (mask, 0.25, _SHARE),
        "shift": (shift_along, 0.125, _SHARE),
        "noise": (noise, 0.2, _POSITIVE),
    }
)


@dataclass(frozen=True, eq=False)
class Resolved:
    """A manipulation of a kind of observation, checked.

    Attributes:
        strength: how much.
        function: of a few observations.
        members: the features that it acts on; None for all.
        observation: what is manipulated, in whose range values stay.
    """

    strength: float
    function: _Function
    members: tuple[int, ...] | None
    observation: Observation

    def drawing(self, seed: int) -> Callable[[Tensor], Tensor]:
        """Returns a function that manipulates many observations part by part, as it would all of them at once.

        Each part but the last must be a multiple of `BLOCK` observations: whatever is drawn is drawn for that many.
        """
        generator, low, high = torch.Generator().manual_seed(seed), self.observation.low, self.observation.high

        def changed(block: Tensor) -> Tensor:
            if self.members is None:
                after = self.function(block, self.strength, generator)
            else:
                after = block.clone()
                members = list(self.members)
                after[:, members] = self.function(block[:, members], self.strength, generator)
            return after if low is None else after.clamp(low, high)

        return lambda x: torch.cat([changed(block) for block in x.split(BLOCK)])


def usual_manipulations(observation: Observation) -> dict[str, Manipulation]:
    """Lists the manipulations of a kind of observation where none are named.

    Those of vectors permute each group, or each feature.

    Raises:
        VaelensError: a vector of too many features to take one at a time.
    """
    if observation.is_image:
        return {name: Manipulation(name) for name in MANIPULATIONS}
    if len(observation.shape) > 1:
        return {name: Manipulation(name) for name in OF_SERIES}
    names: Sequence[Any] = list(observation.groups) or observation.features or range(observation.size)
    if len(names) > _MOST:
        raise VaelensError(
            f"{observation.noun} have {len(names)} features, too many to permute one at a time; name manipulations, "
            "such as {'ribosomal': vl.Manipulation('permute', features=[…])}, or give the observation groups"
        )
    return {f"permute {name}": Manipulation("permute", features=name) for name in names}


def resolved(manipulation: Manipulation, observation: Observation) -> Resolved:
    """Resolves a manipulation for a kind of observation, and checks it.

    Raises:
        VaelensError: one that this kind has not, a strength that it cannot have, an unknown feature.
    """
    table: Mapping[str, tuple[_Function, float, tuple[float, float]]]
    if observation.is_image:
        table = {name: (function, default, (0.0, most)) for name, (function, default, most) in MANIPULATIONS.items()}
    else:
        table = OF_VECTORS if len(observation.shape) == 1 else OF_SERIES
    name, strength = manipulation.name, manipulation.strength
    if not isinstance(name, str) or name not in table:
        raise unknown("manipulation", name, table)
    function, default, (low, high) = table[name]
    amount = default if strength is None else strength
    usual = isinstance(amount, Real) and not isinstance(amount, bool) and math.isfinite(amount)
    if not usual or not low < float(amount) <= high:
        expected = f"above {low:g}" + (f" and at most {high:g}" if high < math.inf else "")
        expected = expected if low > -math.inf else "a finite number"
        raise VaelensError(f"the strength of {name!r} is {amount!r}; expected {expected}")
    features = manipulation.features
    return Resolved(float(amount), function, None if features is None else observation.indices(features), observation)


def manipulate(
    images: Tensor | NDArray[Any],
    name: str,
    strength: float | None = None,
    seed: Seed = 0,
    features: FeaturesLike | None = None,
    observation: Observation | None = None,
) -> Tensor:
    """Manipulates observations in a named way, within their range.

    Args:
        images: (n, C, H, W) in [0, 1]; or vectors, series or volumes.
        name: of images "occlude" (a black square, strength = its side as a fraction of the image's), "blur" (standard
            deviation in pixels), "noise" (standard deviation), "brightness" (added), "shift" (to the right, as a
            fraction of the width) or "rotate" (degrees, counter-clockwise); of others see `Manipulation`.
        strength: how much; each manipulation's own default when None.
        seed: draws places, noise and permutations.
        features: what it acts on, as in `Manipulation`; None for all.
        observation: what is manipulated; by default images, vectors or volumes, as the shape says. Series need it.

    Raises:
        VaelensError: observations out of range, an unknown manipulation or feature, or a strength that is not in
            (0, its largest].

    Example:
        >>> import torch
        >>> manipulate(torch.zeros(1, 1, 4, 4), "brightness", 0.5).mean().item()
        0.5
        >>> manipulate(torch.zeros(2, 3), "shift", 2.0, features=1)
        tensor([[0., 2., 0.],
                [0., 2., 0.]])
    """
    shape = tuple(getattr(images, "shape", ()))
    if observation is None and len(shape) not in (2, 5):  # three axes may be images without one of them, or series
        values = checked_images(images)
        kind = Observation.image(values.shape[1:])
    else:
        kind = observation or Observation.of_shape(shape[1:])
        values = kind.checked(images)
    return resolved(Manipulation(name, strength, features), kind).drawing(check_seed(seed))(values)
