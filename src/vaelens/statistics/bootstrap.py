"""Means over images with bootstrap intervals, streamed so that memory does not grow with the number of images.

The Poisson bootstrap: every image gets an independent Poisson(1) weight in every resample, so a resample
needs running sums only, never the images. A batch of n images costs n · resamples · cells multiply-adds,
and an accumulator holds resamples · cells numbers in float32 (ask for `resamples=0` where a cell is a pixel).
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, stdtrit
from torch import Tensor

from vaelens.errors import VaelensError
from vaelens.float64 import to_float64
from vaelens.statistics.weights import BLOCK, generator_of, next_weights

_CELLS = 2**18  # of the replicates that a block holds, so that they stay in the cache


class BootstrapMean:
    """The mean over images of an array, with a percentile bootstrap interval over images.

    With w_ri ~ Poisson(1) the weight of image i in resample r, resample r has the mean
    Σ_i w_ri v_i / Σ_i w_ri. The weights are drawn in image order from the seed alone: they do not depend on
    how the images are cut into batches, and accumulators with the same seed and number of resamples share
    them, so that quantities computed from several means keep their dependence (`ratio_interval`).

    A cell that is given NaN or infinity once is NaN from then on, and so is its interval; the other cells
    are not touched.

    The sums lie on the device of the first values that it is given, and nothing waits for that device until a number is
    asked for.

    Args:
        shape: shape of one image's values; `()` for one number an image.
        resamples: number of bootstrap resamples; 0 for the mean without an interval, at the cost of the mean.
        seed: seed of the weights, 0 or more.

    Raises:
        VaelensError: if `resamples` or `seed` is negative.

    References:
        Creating non-parametric bootstrap samples using Poisson frequencies (Hanley, MacGibbon, 2006).
        Estimating uncertainty for massive data streams (Chamandy, Muralidharan, Najmi, Naidu, 2012).

    Example:
        >>> values = np.random.default_rng(0).normal(3.0, 1.0, size=400)
        >>> total = BootstrapMean(())
        >>> total.update(values[:100])
        >>> total.update(values[100:])
        >>> total.count, bool(np.isclose(total.mean, values.mean()))
        (400, True)
        >>> low, high = total.interval()
        >>> bool(low < total.mean < high)
        True
    """

    def __init__(self, shape: tuple[int, ...], resamples: int = 1000, seed: int = 0):
        if resamples < 0:
            raise VaelensError(f"resamples is {resamples}; expected 0 (no interval) or more, usually 1000")
        self.shape = shape
        self.resamples = resamples
        self.seed = seed
        self.count = 0
        self._generator = generator_of(seed)
        # Sums are kept of the difference to the first image: values with a large common part then lose no
        # digits in float32, and the interval of a constant is that constant exactly.
        # By torch, on the CPU too: NumPy's own threads spin on after a product, and slow the model down that runs next.
        cells = math.prod(shape)
        self._origin = torch.zeros(cells, dtype=torch.float64)
        self._sum = torch.zeros_like(self._origin)
        self._weights = np.zeros(resamples)  # Σ_i w_ri
        self._weighted = torch.zeros(resamples, cells, dtype=torch.float32)  # Σ_i w_ri (v_i - origin)

    def update(self, values: ArrayLike | Tensor) -> None:
        """Adds the values of n images.

        Args:
            values: `(n, *shape)`, one row for each image; n may be 0.

        Raises:
            VaelensError: if the shape is not `(n, *shape)`.
        """
        if not isinstance(values, Tensor):
            values = torch.from_numpy(np.asarray(values, dtype=np.float64))
        if values.ndim != len(self.shape) + 1 or values.shape[1:] != self.shape:
            expected = ", ".join(["n", *map(str, self.shape)])
            raise VaelensError(
                f"values have shape {tuple(values.shape)}; expected ({expected}): one row for each image; "
                "add the axis of the images, or give the accumulator the shape of one image's values"
            )
        values = self._near(values.detach().reshape(len(values), len(self._origin)))
        self.count += len(values)
        deviations = values - self._origin.to(values)  # (n, cells)
        total = deviations.sum(dim=0).double()
        # Looking at a GPU's numbers waits for it: there all are filled, whether or not any needs it.
        if total.device.type != "cpu" or not total.isfinite().all():
            deviations = deviations.masked_fill(~deviations.isfinite(), torch.nan)  # 0 × NaN is NaN in every resample
            total = deviations.sum(dim=0).double()
        self._sum += total
        if self.resamples == 0:
            return
        for block in deviations.float().split(BLOCK):
            weights = next_weights(self._generator, len(block), self.resamples)  # (resamples, block)
            self._weights += weights.sums
            self._weighted.addmm_(weights.on(block.device), block)

    def _near(self, values: Tensor) -> Tensor:
        """Brings values (n, cells) to where the sums are, in single precision at least.

        The first values say where that is.
        """
        if self.count == 0 and len(values):
            self._origin = to_float64(values[0]).clone()
            if self._origin.device != self._sum.device:
                self._sum = torch.zeros_like(self._origin)
                self._weighted = torch.zeros(self._weighted.shape, dtype=torch.float32, device=self._origin.device)
        return values.to(self._origin.device, torch.promote_types(values.dtype, torch.float32))

    @property
    def mean(self) -> NDArray[np.float64]:
        """The mean over the images so far, `(*shape)`, NaN before the first."""
        if self.count == 0:
            return np.full(self.shape, np.nan)
        return (self._origin + self._sum / self.count).cpu().numpy().reshape(self.shape)

    @property
    def replicates(self) -> NDArray[np.float64]:
        """The mean of each resample, `(resamples, *shape)`, NaN where a resample drew no image."""
        return self._replicates(slice(None))

    def replicates_in_blocks(self) -> Iterator[NDArray[np.float64]]:
        """Yields `replicates` a few resamples at a time, so that not all are in float64 at once."""
        rows = max(1, _CELLS // max(1, len(self._origin)))
        for start in range(0, self.resamples, rows):
            yield self._replicates(slice(start, start + rows))

    def interval(self, level: float = 0.95) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Computes the percentile interval of the mean, widened for the number of images as `percentile_interval` says.

        Over 100 images or more it covers the mean close to `level` (`python -m benchmarks.coverage`); of values as
        skewed as a lognormal of log-standard deviation 1, some two points less at 100 images.

        Args:
            level: probability that the interval covers the mean, in (0, 1).

        Returns:
            Lower and upper end, each `(*shape)`; NaN with fewer than two images or without resamples.

        Raises:
            VaelensError: if `level` is not between 0 and 1.
        """
        return percentile_interval(self.replicates, level, self.count)

    def _replicates(self, resamples: slice) -> NDArray[np.float64]:
        deviations = _divide(self._weighted[resamples].cpu().numpy(), self._weights[resamples, None])
        return np.asarray(self._origin.cpu().numpy() + deviations).reshape(len(deviations), *self.shape)


def ratio_interval(
    numerator: BootstrapMean, denominator: BootstrapMean, level: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Computes the percentile interval of mean(numerator) / mean(denominator), widened for the number of images.

    Each resample has one ratio, of two means under the same weights: what the two have in common cancels,
    as it does in the ratio itself.

    Args:
        numerator: means of shape `(*a)`.
        denominator: means of shape `(*b)`, over the same images in the same order; a and b broadcast.
        level: probability that the interval covers the ratio, in (0, 1).

    Returns:
        Lower and upper end, each of the broadcast shape. 0/0 is NaN, and a resample where it happens is left
        out of the interval; x/0 is infinite. NaN with fewer than two images or without resamples.

    Raises:
        VaelensError: if the two do not share seed, resamples and number of images, if their shapes do not
            broadcast, or if `level` is not between 0 and 1.

    Example:
        >>> values = np.random.default_rng(0).uniform(1.0, 2.0, size=100)
        >>> top, bottom = BootstrapMean(()), BootstrapMean(())
        >>> top.update(3 * values)
        >>> bottom.update(values)
        >>> low, high = ratio_interval(top, bottom)
        >>> round(float(low), 5), round(float(high), 5)
        (3.0, 3.0)
    """
    for name in ("seed", "resamples", "count"):
        top, bottom = getattr(numerator, name), getattr(denominator, name)
        if top != bottom:
            raise VaelensError(
                f"numerator has {name} {top} and denominator {bottom}; expected the same: "
                "a ratio is resampled jointly; build both accumulators alike and update both with every batch"
            )
    try:
        np.broadcast_shapes(numerator.shape, denominator.shape)
    except ValueError:
        raise VaelensError(
            f"numerator has shape {numerator.shape} and denominator {denominator.shape}; "
            "expected shapes that broadcast; make them equal, or the denominator ()"
        ) from None
    axes = max(len(numerator.shape), len(denominator.shape))
    ratios = _divide(_pad(numerator.replicates, axes), _pad(denominator.replicates, axes))
    return percentile_interval(ratios, level, numerator.count)


def percentile_interval(
    replicates: ArrayLike, level: float = 0.95, images: int | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Computes the interval between the (1 − level)/2 and (1 + level)/2 quantiles of the replicates, cell by cell.

    With the number n of images that were resampled, it is the expanded percentile interval: the quantiles are at
    Φ(∓√(n/(n − 1)) t), t the (1 + level)/2 quantile of Student's distribution of n − 1 degrees of freedom. Resamples
    of n images vary less than new images would, by what their own mean takes up, and the more so the fewer they are.

    Args:
        replicates: `(resamples, *shape)`; NaN marks a resample in which the quantity is undefined.
        level: probability between the two ends, in (0, 1).
        images: n; the interval is NaN for fewer than two. None for the quantiles as they are.

    Returns:
        Lower and upper end, each `(*shape)`, linearly interpolated over the replicates that are not NaN; NaN
        where there are none.

    Raises:
        VaelensError: if `replicates` has no axis of resamples or `level` is not between 0 and 1.

    References:
        What teachers should know about the bootstrap: resampling in the undergraduate statistics curriculum
        (Hesterberg, 2015).

    Example:
        >>> low, high = percentile_interval(np.arange(101.0), level=0.9)
        >>> round(float(low), 6), round(float(high), 6)
        (5.0, 95.0)
    """
    if not 0 < level < 1:
        raise VaelensError(f"level is {level}; expected a probability between 0 and 1, such as 0.95")
    replicates = np.asarray(replicates, dtype=np.float64)
    if replicates.ndim == 0:
        raise VaelensError("replicates is one number; expected (resamples, *shape), one row for each resample")
    shape = replicates.shape[1:]
    if len(replicates) == 0 or (images is not None and images < 2):
        return np.full(shape, np.nan), np.full(shape, np.nan)
    # Sorting puts NaN last, so the first `defined` entries of each cell are its sample.
    ordered = np.sort(np.moveaxis(replicates, 0, -1), axis=-1)  # (*shape, resamples)
    defined = np.asarray(len(replicates) - np.isnan(ordered).sum(axis=-1))  # (*shape)
    tail = (1 - level) / 2
    if images is not None:
        tail = float(ndtr(np.sqrt(images / (images - 1)) * stdtrit(images - 1, tail)))
    return quantiles(ordered, defined, tail), quantiles(ordered, defined, 1 - tail)


def _divide(top: NDArray[Any], bottom: NDArray[Any]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore", divide="ignore"):  # 0/0 is NaN by definition here, not an accident
        return np.asarray(np.divide(top, bottom, dtype=np.float64))


def _pad(replicates: NDArray[np.float64], axes: int) -> NDArray[np.float64]:
    """Puts axes of length one after the resamples, until `axes` follow them."""
    missing = axes - (replicates.ndim - 1)
    return replicates.reshape(len(replicates), *[1] * missing, *replicates.shape[1:])


def quantiles(ordered: NDArray[np.float64], defined: NDArray[Any], q: float | NDArray[Any]) -> NDArray[np.float64]:
    """Computes the q-quantile of the first `defined` entries, `(*shape)`, of sorted cells `(*shape, resamples)`."""
    position = q * np.maximum(defined - 1, 0)  # (*shape)
    below = np.floor(position).astype(np.intp)
    lower, upper = (
        np.take_along_axis(ordered, index[..., None], axis=-1)[..., 0]
        for index in (below, np.ceil(position).astype(np.intp))
    )
    with np.errstate(invalid="ignore"):  # equal infinities have no difference, and need none
        return np.asarray(np.where(lower == upper, lower, lower + (position - below) * (upper - lower)))
