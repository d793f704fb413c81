"""How latents go together with a label, one latent at a time, by the measure that fits the label.

Costs a sort of every latent for 200 halves of the images: a second for 10,000 codes of 10 latents and an ordered label.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from vaelens.arguments import Seed, check_seed
from vaelens.errors import VaelensError, unknown
from vaelens.statistics import best_set, half_sample_interval, half_samples

Measure = Literal["spearman", "eta_squared", "circular_linear"]

MEASURES: dict[str, Measure] = {
    "ordinal": "spearman",
    "continuous": "spearman",
    "categorical": "eta_squared",
    "circular": "circular_linear",
}
FEWEST = 8  # labelled images
_HALVES = 200

Latents = Float[np.ndarray, " d"]
Codes = Float[np.ndarray, "n d"]
Labels = Float[np.ndarray, " n"]


@dataclass(frozen=True, eq=False)
class Association:
    """How one label goes together with each latent.

    Attributes:
        measure: which: "spearman" in [−1, 1], "eta_squared" or "circular_linear" in [0, 1].
        values: of each latent, (d,); 0 of one that is the same for all images.
        low: lower end of a 95 % interval, (d,), and `high` its upper end.
        chance: the mean of |value| where images are shuffled against their labels.
        best: the latents that may go with the label most, by |value|, at 95 % for all at once, (d,).
        images: how many have the label.
    """

    measure: Measure
    values: Latents
    low: Latents
    high: Latents
    chance: float
    best: Bool[np.ndarray, " d"]
    images: int


def association(codes: ArrayLike, labels: ArrayLike, kind: str, size: int = 0, seed: Seed = 0) -> Association:
    """Measures how one label goes together with each latent.

    - Spearman's ρ, the correlation of ranks, of an ordered label, be it of levels or of uncut numbers. The sign says
      which way.
    - η² = Σ_c n_c (z̄_c − z̄)² / Σ (z − z̄)² of classes: the share of the latent's variance that lies between them.
    - The circular–linear R² of a circular label: the share of the latent's variance that cos φ and sin φ explain, with
      φ = 2π · label / size.

    The interval is the delete-half jackknife's, with the bias that falls with the number of images (of η² and R²)
    followed to where it ends. None of them sees every dependence: a latent may go up and down again with an ordered
    label, and a label may be spread over several latents. `code_knowledge` tells what all latents together know.

    Args:
        codes: `(n, d)`.
        labels: `(n,)`, numbers or the index of each value; NaN where it is missing.
        kind: what the label is: ordinal, continuous, categorical or circular.
        size: of a circular label, how many values go round.
        seed: of the halves.

    Raises:
        VaelensError: fewer than 8 labelled images, one value alone, an unknown kind, codes that do not fit.

    References:
        The proof and measurement of association between two things (Spearman, 1904). A correlation coefficient for
        circular data and a linear variable (Mardia, 1976).

    Example:
        >>> codes = np.stack([np.arange(9.0) ** 3, np.zeros(9)], axis=1)
        >>> association(codes, -np.arange(9.0), "continuous").values.tolist()
        [-1.0, 0.0]
    """
    seed = check_seed(seed)
    z, values = checked_label(codes, labels, kind)
    n, measure = len(z), MEASURES[kind]
    measured = _COMPUTED[measure](z, values, size)
    halves = np.stack([_COMPUTED[measure](z[half], values[half], size) for half in half_samples(n, _HALVES, seed)])
    least = -1.0 if measure == "spearman" else 0.0
    low, high = (np.clip(end, least, 1) for end in half_sample_interval(measured, halves, doublings=1))
    best = best_set(np.abs(measured), np.abs(halves), images=n)
    return Association(measure, measured, low, high, _chance(measure, values, size), best, n)


def checked_label(codes: ArrayLike, labels: ArrayLike, kind: str) -> tuple[Codes, Labels]:
    """Checks codes and one label, and returns the images that have it.

    Raises:
        VaelensError: as `association`.
    """
    if kind not in MEASURES:
        raise unknown("kind of label", kind, MEASURES)
    z, values = np.asarray(codes, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if z.ndim != 2 or values.shape != z.shape[:1] or not np.isfinite(z).all():
        raise VaelensError(
            f"codes have shape {z.shape} and labels {values.shape}; expected finite codes (n, d) and one label for each"
        )
    has_label = ~np.isnan(values)
    z, values = z[has_label], values[has_label]
    if len(z) < FEWEST or np.ptp(values) == 0:
        raise VaelensError(
            f"{len(z)} images have the label, with {len(np.unique(values))} values; expected at least {FEWEST} images "
            "and 2 values; give more labelled images"
        )
    return z, values


def _spearman(z: Codes, values: Labels, _: int) -> Latents:
    ranks, label_ranks = rankdata(z, axis=0), rankdata(values)
    ranks -= ranks.mean(axis=0)
    label_ranks -= label_ranks.mean()
    spread = np.sqrt((ranks**2).sum(axis=0) * (label_ranks**2).sum())
    return _share(label_ranks @ ranks, spread)


def _eta_squared(z: Codes, values: Labels, _: int) -> Latents:
    order = values.argsort(kind="stable")
    centred, in_order = (z - z.mean(axis=0))[order], values[order]
    starts = np.flatnonzero(np.diff(in_order, prepend=np.nan) != 0)
    counts = np.diff(np.append(starts, len(z)))
    sums = np.add.reduceat(centred, starts, axis=0)  # (classes, d)
    return _share((sums**2 / counts[:, None]).sum(axis=0), (centred**2).sum(axis=0))


def _circular_linear(z: Codes, values: Labels, size: int) -> Latents:
    centred = z - z.mean(axis=0)
    return _share(((_circle(values, size).T @ centred) ** 2).sum(axis=0), (centred**2).sum(axis=0))


def _circle(values: Labels, size: int) -> Float[np.ndarray, "n dimensions"]:
    """Computes an orthonormal basis of what cos φ and sin φ can explain beside the mean."""
    angle = 2 * np.pi * values / size
    round_it = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    basis, spread, _ = np.linalg.svd(round_it - round_it.mean(axis=0), full_matrices=False)
    return basis[:, spread > 1e-9 * np.sqrt(len(values))]


def _share(part: Latents, whole: Latents) -> Latents:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _chance(measure: Measure, values: Labels, size: int) -> float:
    """Computes the mean over all shuffles, exact for the shares of variance, for |ρ| as for many images."""
    freedom = len(values) - 1
    if measure == "spearman":
        return float(np.sqrt(2 / (np.pi * freedom)))
    explained = len(np.unique(values)) - 1 if measure == "eta_squared" else _circle(values, size).shape[1]
    return explained / freedom


_COMPUTED: dict[Measure, Callable[[Codes, Labels, int], Latents]] = {
    "spearman": _spearman,
    "eta_squared": _eta_squared,
    "circular_linear": _circular_linear,
}
