"""Images drawn with one factor held, and their codes, from which the FactorVAE and beta-VAE scores are computed.

Draws are indices, so that thousands of batches are drawn at once, each image is encoded at most once however
often it is drawn, and a dataset that renders any factor values and a table of labelled images are the same to it.
Holds one code for each image drawn and the factor values of the whole dataset.
"""

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from vaelens.arguments import Progress
from vaelens.data import FactorDataset
from vaelens.errors import VaelensError
from vaelens.metrics.disentanglement.arrays import CodeArray, check_codes
from vaelens.metrics.disentanglement.labels import MISSING, labelled
from vaelens.metrics.disentanglement.pairs import warn_of_missing
from vaelens.metrics.latent_means import Represents, latent_means
from vaelens.progress import reporting

_IMAGES_AT_ONCE = 1024  # 50 MB of 64 × 64 RGB


class HeldFactors:
    """Draws images of a dataset that share the value of one factor.

    All images are equally likely, and so are all that share the value: on a full grid of factors, the other factors
    are then drawn uniformly. In a table of labels they follow the table. A value that one image alone has cannot be
    held while the image changes; it is never drawn. Nor is an image whose label of the held factor is missing.

    Args:
        ds: a dataset with factors.

    Attributes:
        factors: the columns of the factors that can be held, (k,); those with one value are left out.

    Raises:
        VaelensError: if it is no such dataset, fewer than 2 factors vary, or no two images share a factor's value.

    Warns:
        VaelensWarning: labels are missing.
    """

    def __init__(self, ds: FactorDataset | Any) -> None:
        if not isinstance(ds, FactorDataset):
            raise VaelensError(
                f"ds is a {type(ds).__name__}; expected a dataset, from vl.load_dataset or vl.ArrayDataset: this score "
                "chooses the images it looks at"
            )
        if len(ds.factors) == 0:
            raise VaelensError(
                f"{ds.name} has no factors; this score holds one factor while the others change; give the images' "
                "factor values, or use a score that needs none, such as gaussian_total_correlation"
            )
        values = ds.factor_values(np.arange(len(ds))).astype(np.int64)  # (N, K)
        have = labelled(values)
        missing = dict(zip(map(repr, ds.factors.names), (~have).sum(axis=0).tolist(), strict=True))
        warn_of_missing(missing, len(ds), ds.name, stacklevel=4)
        columns = [values[have[:, k], k] for k in range(values.shape[1])]
        self.factors = np.flatnonzero([len(column) > 0 and bool(np.ptp(column) > 0) for column in columns])
        if len(self.factors) < 2:
            raise VaelensError(
                f"{ds.name} has {len(self.factors)} factor that varies; expected at least 2: this score tells which "
                "factor was held; give more factors, or use mig"
            )
        self._groups = {k: _Groups(values[:, k], ds, k) for k in self.factors.tolist()}

    def draw(
        self, batches: int, size: int, rng: np.random.Generator, paired: bool
    ) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, "n b"], Int[np.ndarray, "n b"]]:
        """Draws batches of images, each with one factor held.

        Args:
            batches: how many, n.
            size: images, or pairs of images, in each, b.
            rng: draws the factor held, uniformly, and the images.
            paired: hold the factor within each pair instead of over the whole batch.

        Returns:
            The factor held in each batch (n,) and the indices (n, b) of images and of their partners, which share
            its value: pair by pair, or, unless paired, with one and the same image in all of a batch's columns.
        """
        held = rng.choice(self.factors, size=batches)
        first = np.empty((batches, size), dtype=np.int64)
        second = np.empty_like(first)
        for k in self.factors.tolist():
            rows = np.flatnonzero(held == k)
            groups = self._groups[k]
            first[rows] = groups.images(rng, (len(rows), size if paired else 1))
            second[rows] = groups.sharing(first[rows], rng)
        return held, first, second


class _Groups:
    """The images grouped by their value of one factor."""

    def __init__(self, values: np.ndarray, ds: FactorDataset, factor: int) -> None:
        have = labelled(values)
        numbers, counts = np.unique(values[have], return_inverse=True, return_counts=True)[1:]
        self._value = np.full(len(values), MISSING)
        self._value[have] = numbers
        self._count, self._start = counts, np.cumsum(counts) - counts
        # The images of value 0, those of value 1, …, without those whose label is missing.
        self._order = np.argsort(self._value, kind="stable")[len(values) - len(numbers) :]
        self._shared = self._order if counts.min() > 1 else self._order[np.repeat(counts > 1, counts)]
        if len(self._shared) == 0:
            raise VaelensError(
                f"factor {ds.factors.names[factor]!r} of {ds.name} has another value in every image, so it cannot be "
                "held while the image changes; leave it out of the dataset's factors"
            )

    def images(self, rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        """Draws images uniformly among those whose value another image has too."""
        return rng.choice(self._shared, size=shape)

    def sharing(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draws for each image one that shares its value, uniformly."""
        value = self._value[images]
        return self._order[self._start[value] + rng.integers(self._count[value])]


class DrawnCodes:
    """The codes of all images that were drawn, each encoded once.

    Args:
        lens: a lens; its `representation`, as a mean over positions, is what is scored.
        ds: the dataset.
        progress: whether to show a bar on standard error, or a function of (images encoded, images in all).
        drawn: arrays of indices, of any shape.

    Attributes:
        table: the codes (n, d), float64, one row for each different image.

    Raises:
        VaelensError: if the lens is none, or a code is not finite.
    """

    def __init__(
        self, lens: Represents | Any, ds: FactorDataset, progress: Progress, *drawn: Int[np.ndarray, "..."]
    ) -> None:
        wanted = np.zeros(len(ds), dtype=bool)
        for indices in drawn:
            wanted[indices] = True
        images = np.flatnonzero(wanted)
        codes = []
        with reporting(progress, len(images), "encoding") as report:
            for chunk in np.split(images, range(_IMAGES_AT_ONCE, len(images), _IMAGES_AT_ONCE)):
                codes.append(_codes(lens, ds, chunk))
                report.advance(len(chunk))
        self.table: CodeArray = np.concatenate(codes)
        self._row = np.cumsum(wanted) - 1

    def at(self, indices: Int[np.ndarray, "*axes"]) -> Float[np.ndarray, "*axes d"]:
        """Returns the codes (…, d) of images that were drawn."""
        return self.table[self._row[indices]]


def _codes(lens: Represents | Any, ds: FactorDataset, images: np.ndarray) -> CodeArray:
    return check_codes(latent_means(lens, ds.images_at(images)).numpy(), "the lens's representations")
