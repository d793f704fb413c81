"""The kinds of planted model, with a function each that wires what the kind does.

A new kind is a function that fills a draft and a line in `KINDS`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from vaelens.planted.draft import Draft, Line

SIGNED = (-2.0, -1.0, 0.0, 1.0, 2.0)
POSITIVE = (0.0, 1.0, 2.0, 3.0)
BINARY = (0.0, 1.0)
NAMES = ("first", "second", "third")


@dataclass(frozen=True)
class Kind:
    """What a kind of planted model is.

    Attributes:
        fill: fills a draft.
        levels: the numbers that each factor's values stand for.
        sparse: whether at most one factor is off 0 in an image.
        alternatives: of a factor, which units, by name, another circuit has in place of which of the circuit's.
        roles: what some units are, by name: "redundant" or "backup".
        shown: from the factors' numbers (n, factors) to what lattices show besides, by lattice.
    """

    fill: Callable[[Draft], None]
    levels: tuple[tuple[float, ...], ...]
    sparse: bool = False
    alternatives: Callable[[Draft], dict[int, tuple[set[str], set[str]]]] = field(default=lambda draft: {})
    roles: Callable[[Draft], dict[str, str]] = field(default=lambda draft: {})
    shown: Callable[[np.ndarray], dict[int, np.ndarray]] = field(default=lambda numbers: {})


def aligned(draft: Draft) -> None:
    """Gives every factor a latent of its own. The second passes as a pair of units for its two signs."""
    lines = [draft.seen("a", 0), draft.seen("b", 1, "paired"), draft.seen("c", 2)]
    _paint_signed(draft, _to_last(draft, lines))


def rotated(draft: Draft) -> None:
    """Turns the first two factors into each other, z = (0.8 a + 0.6 b, −0.6 a + 0.8 b), before the second site."""
    a, b, c = draft.through(draft.encoder[:1], [draft.seen("a", 0), draft.seen("b", 1), draft.seen("c", 2)])
    both = a.factors | b.factors
    u = Line("u", 0.8 * a.signal + 0.6 * b.signal, both)
    v = Line("v", -0.6 * a.signal + 0.8 * b.signal, both)
    u, v, c = _to_last(draft, [u, v, c], first=1)
    a = replace(a, signal=0.8 * u.signal - 0.6 * v.signal)
    b = replace(b, signal=0.6 * u.signal + 0.8 * v.signal)
    _paint_signed(draft, [a, b, c])


def superposed(draft: Draft) -> None:
    """Encodes three factors, of which one at a time is on, as directions 120° apart in two units.

    Toy models of superposition (Elhage et al., 2022).
    """
    a, b, c = draft.through(draft.encoder[:1], [draft.seen("a", 0), draft.seen("b", 1), draft.seen("c", 2)])
    u = Line("u", a.signal - 0.5 * b.signal - 0.5 * c.signal, a.factors | b.factors | c.factors)
    v = Line("v", _SIN * b.signal - _SIN * c.signal, b.factors | c.factors)
    u, v = _to_last(draft, [u, v], first=1)
    directions = [u.signal, _SIN * v.signal - 0.5 * u.signal, -0.5 * u.signal - _SIN * v.signal]
    for lattice, (line, direction) in enumerate(zip((a, b, c), directions, strict=True)):
        painted = draft.at(draft.decoder[-1], replace(line, signal=direction, form="plain"))
        draft.paint(lattice, painted.signal)


def dead(draft: Draft) -> None:
    """Leaves two latents at the prior, which the decoder ignores."""
    lines = _to_last(draft, [draft.seen("a", 0), draft.seen("b", 1, "paired")])
    draft.dead("dead 0")
    draft.dead("dead 1")
    _paint_signed(draft, lines)


def distractor(draft: Draft) -> None:
    """Passes the first factor along a second path, with a latent of its own, that ends before the image."""
    astray = replace(draft.seen("astray", 0), factors=frozenset())
    a, b, astray = _to_last(draft, [draft.seen("a", 0), draft.seen("b", 1), astray])
    _paint_signed(draft, [a, b])
    draft.at(draft.decoder[-1], replace(astray, form="paired"))


def interaction(draft: Draft) -> None:
    """Shows on a third lattice what is positive of the sum of two factors."""
    a, b = _to_last(draft, [draft.seen("a", 0), draft.seen("b", 1)])
    _paint_signed(draft, [a, b])
    joint = draft.at(draft.decoder[-1], Line("joint", a.signal + b.signal, a.factors | b.factors, "plain"))
    draft.paint(2, joint.signal)


def redundant(draft: Draft) -> None:
    """Passes the first factor by two units side by side, either of which is enough since their sum is clipped at 1."""
    a, b = _to_last(draft, [draft.seen("a", 0, "plain"), draft.seen("b", 1)], last=-2)
    side, last = draft.decoder[-2:]
    left, right = (draft.at(side, replace(a, name=name)) for name in ("left", "right"))
    both = left.signal + right.signal
    total = draft.at(last, Line("total", both, a.factors, "plain"))
    excess = draft.at(last, Line("excess", both.plus(-1.0), frozenset(), "plain"))
    draft.paint(0, total.signal - excess.signal)
    _paint_signed(draft, [replace(b, signal=draft.at(side, b).signal)], lattice=1)


def backup(draft: Draft) -> None:
    """Passes the first factor by one unit, and watches it by another from which two units make up what is missing."""
    a, b = _to_last(draft, [draft.seen("a", 0, "plain"), draft.seen("b", 1)], last=-2)
    side, last = draft.decoder[-2:]
    main = draft.at(side, replace(a, name="main"))
    watch = draft.at(side, Line("watch", a.signal, frozenset(), "plain"))
    passed = draft.at(last, replace(main, name="passed"))
    missing = draft.at(last, Line("missing", watch.signal - main.signal, frozenset(), "paired"))
    draft.paint(0, passed.signal + missing.signal)
    _paint_signed(draft, [replace(b, signal=draft.at(side, b).signal)], lattice=1)


def chain(draft: Draft) -> None:
    """Passes two factors by one unit a site, of the other sign at each."""
    lines = [draft.seen("a", 0), draft.seen("b", 1)]
    for site in draft.encoder:
        lines = [draft.at(site, replace(line, signal=-1.0 * line.signal)) for line in lines]
    lines = [draft.code(line) for line in lines]
    for site in draft.decoder[:-1]:
        lines = [draft.at(site, replace(line, signal=-1.0 * line.signal)) for line in lines]
    flips = 2 * len(draft.encoder) - 1  # of the encoder and of the decoder but its last hidden site
    _paint_signed(draft, [replace(line, signal=(-1.0) ** flips * line.signal) for line in lines])


_SIN = float(np.sqrt(0.75))


def _to_last(draft: Draft, lines: list[Line], first: int = 0, last: int = -1) -> list[Line]:
    """Passes numbers from a site of the encoder to before one of the decoder."""
    coded = [draft.code(line) for line in draft.through(draft.encoder[first:], lines)]
    return draft.through(draft.decoder[:last], coded)


def _paint_signed(draft: Draft, lines: list[Line], lattice: int = 0) -> None:
    """Shows numbers on lattices, passing the last hidden site as pairs, which need no constant."""
    for k, line in enumerate(lines, start=lattice):
        draft.paint(k, draft.at(draft.decoder[-1], replace(line, form="paired")).signal)


def _redundant_alternatives(draft: Draft) -> dict[int, tuple[set[str], set[str]]]:
    side = draft.decoder[-2]
    return {0: ({f"{side} left"}, {f"{side} right"})}


def _redundant_roles(draft: Draft) -> dict[str, str]:
    return {f"{draft.decoder[-2]} {name}": "redundant" for name in ("left", "right")}


def _backup_alternatives(draft: Draft) -> dict[int, tuple[set[str], set[str]]]:
    side, last = draft.decoder[-2:]
    return {0: ({f"{side} main", f"{last} passed"}, {f"{side} watch", f"{last} missing +", f"{last} missing -"})}


def _backup_roles(draft: Draft) -> dict[str, str]:
    return {f"{draft.decoder[-1]} missing {sign}": "backup" for sign in "+-"}


def _joint(numbers: np.ndarray) -> dict[int, np.ndarray]:
    return {2: np.maximum(numbers.sum(axis=1), 0)}


KINDS = MappingProxyType(
    {
        "aligned": Kind(aligned, (SIGNED,) * 3),
        "rotated": Kind(rotated, (SIGNED,) * 3),
        "superposed": Kind(superposed, (POSITIVE,) * 3, sparse=True),
        "dead": Kind(dead, (SIGNED,) * 2),
        "distractor": Kind(distractor, (SIGNED,) * 2),
        "interaction": Kind(interaction, (SIGNED,) * 2, shown=_joint),
        "redundant": Kind(redundant, (BINARY, SIGNED), alternatives=_redundant_alternatives, roles=_redundant_roles),
        "backup": Kind(backup, (POSITIVE, SIGNED), alternatives=_backup_alternatives, roles=_backup_roles),
        "chain": Kind(chain, (SIGNED,) * 2),
    }
)
