"""The draft of a planted model, in which units get names and inputs, and which is shuffled into a wiring in the end.

Hidden units are rectified, so a number that can be negative passes shifted by a constant, or as a pair of units for its
two signs. Weights are of few binary digits where they can be, so that float32 carries the numbers exactly.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from vaelens.lens import IMAGE, LATENT
from vaelens.planted.signal import NO_SIGNAL, Signal
from vaelens.planted.wiring import LATTICES, Stage, Wiring

SHIFT = 8.0  # more than any number becomes when latents are set to −3 … 3
SILENT = 3  # units of each hidden site that never respond

Form = Literal["shifted", "paired", "plain"]


@dataclass(frozen=True)
class Line:
    """A number on its way from the image to the image.

    Attributes:
        name: what it is called; its units are called after it and their site.
        signal: how it is read off the site that it has reached.
        factors: the factors of whose circuit its units are.
        form: how it passes a rectified site: "shifted" by a constant, as a "paired" unit for each sign, or "plain",
            which leaves only what is positive of it.
    """

    name: str
    signal: Signal
    factors: frozenset[int]
    form: Form = "shifted"


@dataclass(frozen=True)
class _Planned:
    """A unit with what it reads, and the factors to whose circuits it belongs."""

    name: str
    reads: Signal
    factors: frozenset[int]


class Draft:
    """A planted model while it is put together.

    Args:
        depth: the number of hidden sites of the encoder, and of the decoder.

    Attributes:
        encoder: the names of the encoder's sites.
        decoder: those of the decoder's, without its output.
        dead_latents: the names of latents that the encoder leaves at the prior.
    """

    def __init__(self, depth: int) -> None:
        self.encoder = tuple(f"encoder.{k}" for k in range(depth))
        self.decoder = tuple(f"decoder.{k}" for k in range(depth))
        self.dead_latents: set[str] = set()
        self._units: dict[str, list[_Planned]] = {site: [] for site in (*self.encoder, LATENT, *self.decoder)}
        self._painted = [NO_SIGNAL] * LATTICES

    def seen(self, name: str, lattice: int, form: Form = "shifted") -> Line:
        """Returns the number that a lattice of the image shows, which is the factor of the same index."""
        return Line(name, Signal({f"lattice {lattice}": 1.0}), frozenset([lattice]), form)

    def at(self, site: str, line: Line) -> Line:
        """Adds the units by which a number passes a hidden site, and returns it as read off them."""
        name = f"{site} {line.name}"
        if line.form == "shifted":
            self._add(site, name, line.signal.plus(SHIFT), line.factors)
            signal = Signal({name: 1.0}, -SHIFT)
        elif line.form == "plain":
            self._add(site, name, line.signal, line.factors)
            signal = Signal({name: 1.0})
        else:
            self._add(site, f"{name} +", line.signal, line.factors)
            self._add(site, f"{name} -", -1.0 * line.signal, line.factors)
            signal = Signal({f"{name} +": 1.0, f"{name} -": -1.0})
        return replace(line, signal=signal)

    def through(self, sites: Iterable[str], lines: Sequence[Line]) -> list[Line]:
        """Passes numbers through several hidden sites."""
        passed = list(lines)
        for site in sites:
            passed = [self.at(site, line) for line in passed]
        return passed

    def code(self, line: Line) -> Line:
        """Adds the latent that a number becomes."""
        name = f"{LATENT} {line.name}"
        self._add(LATENT, name, line.signal, line.factors)
        return replace(line, signal=Signal({name: 1.0}))

    def dead(self, name: str) -> None:
        """Adds a latent whose posterior is the prior, and that the decoder ignores."""
        full_name = f"{LATENT} {name}"
        self._add(LATENT, full_name, NO_SIGNAL, frozenset())
        self.dead_latents.add(full_name)

    def paint(self, lattice: int, signal: Signal) -> None:
        """Shows a number on a lattice of the image."""
        assert signal.constant == 0, "a transposed convolution has one bias for all lattices"
        self._painted[lattice] = self._painted[lattice] + signal

    def wiring(self, rng: np.random.Generator) -> Wiring:
        """Shuffles each site's units, scales those that are rectified, and adds units that never respond."""
        names = tuple(f"lattice {lattice}" for lattice in range(LATTICES))
        scales = np.ones(LATTICES)
        stages: list[Stage] = []
        for site in (*self.encoder, LATENT, *self.decoder):
            hidden = site != LATENT
            planned = [*self._units[site], *(_silent(site, k, names, rng) for k in range(SILENT if hidden else 0))]
            order = rng.permutation(len(planned))
            units = [planned[k] for k in order]
            own_scales = 2.0 ** rng.integers(-1, 2, size=len(units)) if hidden else np.ones(len(units))
            stages.append(_stage(site, [(unit.name, unit.reads) for unit in units], names, scales, own_scales, hidden))
            names, scales = stages[-1].names, own_scales
        painted = [(f"painted {lattice}", signal) for lattice, signal in enumerate(self._painted)]
        stages.append(_stage(IMAGE, painted, names, scales, np.ones(LATTICES), False))
        return Wiring(tuple(stages))

    def factors_of(self, name: str) -> frozenset[int]:
        """Returns the factors to whose circuits a unit belongs."""
        planned = (unit for units in self._units.values() for unit in units)
        return next((unit.factors for unit in planned if unit.name == name), frozenset())

    def _add(self, site: str, name: str, reads: Signal, factors: frozenset[int]) -> None:
        self._units[site].append(_Planned(name, reads, factors))


def _silent(site: str, k: int, inputs: Sequence[str], rng: np.random.Generator) -> _Planned:
    """Returns a unit that never responds, wired like any other and far below its threshold, or not wired at all."""
    name = f"{site} silent {k}"
    if k == 0:
        return _Planned(name, Signal({}, 1.0), frozenset())
    weights = dict(zip(inputs, rng.choice([-0.5, 0.5, 1.0], size=len(inputs)).tolist(), strict=True))
    return _Planned(name, Signal(weights, -1024.0), frozenset())


def _stage(
    site: str,
    units: Sequence[tuple[str, Signal]],
    inputs: Sequence[str],
    input_scales: np.ndarray,
    scales: np.ndarray,
    rectified: bool,
) -> Stage:
    weight = np.array([[signal.weights.get(name, 0.0) for name in inputs] for _, signal in units])
    # What lies below its threshold passes nothing on, and may as well be wired.
    for column, name in enumerate(inputs):
        if "silent" in name and not name.endswith(" 0"):
            weight[:, column] = np.where(weight[:, column] == 0, 1.0, weight[:, column])
    bias = np.array([signal.constant for _, signal in units])
    return Stage(
        site, weight * scales[:, None] / input_scales, bias * scales, tuple(name for name, _ in units), rectified
    )
