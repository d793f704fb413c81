"""A factor reader, which is a network trained to read a dataset's factors off images, and how far to trust it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vaelens.errors import VaelensError, unknown
from vaelens.lens import halving
from vaelens.metrics.readers.network import ReaderNetwork
from vaelens.metrics.readers.score import TRUST, FactorScore
from vaelens.observation import Observation

ROWS = 256  # images read at once


@dataclass(frozen=True, eq=False, repr=False)
class FactorReader:
    """Reads a dataset's factors off images, such as those that a model makes. `factor_reader` makes one.

    Attributes:
        dataset: the dataset's name.
        image_shape: (C, H, W).
        scores: how well each factor is read off held-out images.
        identity: 64 hexadecimal digits that differ wherever dataset, settings or versions do.
        factors: the factors that `read` returns: those that are trusted, unless others were asked for.
    """

    dataset: str
    image_shape: tuple[int, ...]
    scores: tuple[FactorScore, ...]
    network: ReaderNetwork
    identity: str
    factors: tuple[str, ...]

    @property
    def accuracy(self) -> dict[str, float]:
        """Each factor's accuracy on held-out images, in [0, 1]. Higher is better."""
        return {score.name: score.accuracy for score in self.scores}

    @property
    def trusted(self) -> tuple[str, ...]:
        """The factors that are read well enough, as `FactorScore.trusted` says."""
        return tuple(score.name for score in self.scores if score.trusted)

    @property
    def untrusted(self) -> tuple[str, ...]:
        """The factors that are not."""
        return tuple(score.name for score in self.scores if not score.trusted)

    def read(self, images: Tensor | np.ndarray) -> dict[str, Float[Tensor, "n size"]]:
        """Reads the probabilities of each value of each factor in `factors`.

        Args:
            images: (n, C, H, W) in [0, 1], a tensor of any floating type on any device, or an array.

        Returns:
            float32 (n, size) by the factor's name, each row adding to 1, on the images' device.

        Raises:
            VaelensError: images of another shape or out of range.
        """
        checked = Observation.image(self.image_shape).checked(images)
        network = self.network.to(checked.device)

        def probabilities(rows: Tensor) -> Tensor:
            logits = network(rows.float())
            return torch.cat([logits[name].softmax(dim=1) for name in self.factors], dim=1)

        with torch.no_grad():
            all_factors = torch.cat([halving(probabilities, rows) for rows in checked.split(ROWS)])
        sizes = {score.name: score.size for score in self.scores}
        return dict(zip(self.factors, all_factors.split([sizes[name] for name in self.factors], dim=1), strict=True))

    def only(self, factors: Sequence[str] | str) -> "FactorReader":
        """Returns the same reader of some factors alone.

        Args:
            factors: their names.

        Raises:
            VaelensError: an unknown factor, none or one twice, or one that is not read well enough.
        """
        names = (factors,) if isinstance(factors, str) else tuple(factors)
        if not names:
            raise VaelensError("factors is empty; name at least one, or leave it out for all that are trusted")
        scores = {score.name: score for score in self.scores}
        for name in names:
            if name not in scores:
                raise unknown("factor", name, scores)
            if names.count(name) > 1:
                raise VaelensError(f"factors names {name!r} more than once; name each factor once")
            if not scores[name].trusted:
                raise VaelensError(self._refusal(scores[name]))
        return replace(self, factors=names)

    def _refusal(self, score: FactorScore) -> str:
        if not score.images:
            return (
                f"factor {score.name!r} can't be trusted: none of the held-out images has its label; label more images "
                "of it, or leave it out of factors=[…]"
            )
        needed = (
            f"at least {_share(score.chance + TRUST * (1 - score.chance))} expected (chance {_share(score.chance)})"
        )
        if score.near is not None and score.near_chance is not None and score.near_chance < 1:
            near = score.near_chance + TRUST * (1 - score.near_chance)
            needed += f", or at least {_share(near)} within one step, which are {_share(score.near)}"
        return (
            f"factor {score.name!r} is read with an accuracy of {_share(score.accuracy)} on held-out images, and "
            f"{needed}; train the reader with more steps=, or leave the factor out: factors={list(self.trusted)}"
        )

    def __repr__(self) -> str:
        table = [("factor", "values", "kind", "accuracy", "chance", "within 1", "chance", "error", "trusted")]
        table += [_row(score) for score in self.scores]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = ["  ".join(_aligned(row, widths)).rstrip() for row in table]
        head = f"FactorReader of {self.dataset}, on {max((s.images for s in self.scores), default=0):,} held-out images"
        if set(self.factors) != set(self.trusted):
            lines.append(f"read: {', '.join(self.factors) or 'none'}")
        return "\n".join([head, *lines])


def _row(score: FactorScore) -> tuple[str, ...]:
    near = [_share(score.near), _share(score.near_chance)]
    error = "" if score.error is None else f"{score.error:.2f} steps"
    exact = [_share(score.accuracy), _share(score.chance)]
    return (score.name, str(score.size), score.kind, *exact, *near, error, "yes" if score.trusted else "no")


def _aligned(row: Iterable[str], widths: Iterable[int]) -> list[str]:
    """Pads texts on the right, numbers on the left."""
    texts = (0, 2, 8)
    return [
        cell.ljust(width) if column in texts else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"
