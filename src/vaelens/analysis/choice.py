"""The choice of how many images, and which pieces, each part of an analysis takes within a given time."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

from vaelens.analysis.cost import Cost

_CHEAP = 0.02  # of the time, up to which a part is done whole
_HALVINGS = 40  # of the span in which the common fraction of the images is looked for


@dataclass(frozen=True)
class Need:
    """What a part takes where there is time for all.

    Attributes:
        full: images.
        fewest: images that it needs at least.
        pieces: what each of its pieces costs, in the order in which they are taken up; most parts are one piece.
    """

    full: int
    fewest: int
    pieces: tuple[Cost, ...]

    def seconds(self, share: "Share") -> float:
        """Estimates how long a share takes."""
        return sum(cost.seconds(share.images) for cost in self.pieces[: share.pieces])

    @property
    def whole(self) -> "Share":
        """All of it."""
        return Share(self.full, len(self.pieces))


@dataclass(frozen=True)
class Share:
    """So many images for a part, and the first so many of its pieces."""

    images: int
    pieces: int


def choose(needs: Mapping[str, Need], seconds: float) -> dict[str, Share]:
    """Chooses the largest shares that a time suffices for.

    What costs next to nothing is done whole. All others take the same fraction of their images, but none fewer than it
    needs. Where that is still too long, pieces are left out, and the images that there is time for then are taken.

    Args:
        needs: of each part.
        seconds: that there are; where they do not suffice for the least, the least is chosen.

    Example:
        >>> choose({"a": Need(100, 8, (Cost(0, 1.0),)), "b": Need(50, 8, (Cost(0, 1.0),))}, seconds=75)
        {'a': Share(images=50, pieces=1), 'b': Share(images=25, pieces=1)}
    """
    pieces = {name: len(need.pieces) for name, need in needs.items()}
    fewest = {
        name: need.full if need.seconds(need.whole) <= _CHEAP * seconds else need.fewest for name, need in needs.items()
    }

    def shares(fraction: float) -> dict[str, Share]:
        return {
            name: Share(min(need.full, max(fewest[name], int(fraction * need.full + 1e-9))), pieces[name])
            for name, need in needs.items()
        }

    over = total(needs, shares(0.0)) - seconds
    least = {name: need.seconds(Share(fewest[name], pieces[name])) for name, need in needs.items()}
    for name in sorted(needs, key=lambda name: -least[name]):
        if over <= 0:
            break
        # What is spared by leaving out the last piece, the last two, … but never the first.
        spared = list(accumulate(cost.seconds(fewest[name]) for cost in reversed(needs[name].pieces[1:])))
        dropped = next((k + 1 for k, saving in enumerate(spared) if saving >= over), len(spared))
        pieces[name] -= dropped
        over -= spared[dropped - 1] if dropped else 0.0
    low, high = 0.0, 1.0
    if total(needs, shares(high)) <= seconds:
        return shares(high)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if total(needs, shares(middle)) <= seconds:
            low = middle
        else:
            high = middle
    return shares(low)


def total(needs: Mapping[str, Need], shares: Mapping[str, Share]) -> float:
    """Adds up how long all shares take, in seconds."""
    return sum(need.seconds(shares[name]) for name, need in needs.items())
