"""Codes and factors of the same images, checked together and without the images that have no label at all."""

import warnings
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from numpy.typing import ArrayLike

from vaelens.errors import VaelensError, VaelensWarning
from vaelens.metrics.disentanglement.arrays import CodeArray, FactorArray, ValueArray, check_codes
from vaelens.metrics.disentanglement.labels import check_factors, check_kinds, labelled

_NAMED = 3  # factors whose missing labels a warning counts


def check_pair(
    codes: ArrayLike, factors: ArrayLike, codes_name: str = "codes", factors_name: str = "factors"
) -> tuple[CodeArray, FactorArray]:
    """Returns codes and factors of the images that have a label.

    Args:
        codes: `(N, d)`, see `check_codes`.
        factors: `(N, K)`, see `check_factors`.
        codes_name: what the caller calls the first argument.
        factors_name: what the caller calls the second.

    Raises:
        VaelensError: as `check_codes` and `check_factors`, if the numbers of images differ, or every label is missing.

    Warns:
        VaelensWarning: some labels are missing.
    """
    checked = check_codes(codes, codes_name), check_factors(factors, factors_name)
    return _with_labels(*checked, codes_name, factors_name)


def check_pair_of_kinds(
    codes: ArrayLike,
    factors: ArrayLike,
    continuous: ArrayLike,
    codes_name: str = "codes",
    factors_name: str = "factors",
) -> tuple[CodeArray, FactorArray | ValueArray]:
    """Returns codes and factors as `check_pair` does, for factors of which some or all may be continuous.

    Raises:
        VaelensError: as `check_codes` and `check_kinds`, if the numbers of images differ, or every label is missing.

    Warns:
        VaelensWarning: some labels are missing.
    """
    checked = check_codes(codes, codes_name), check_kinds(factors, continuous, factors_name)
    return _with_labels(*checked, codes_name, factors_name)


def warn_of_missing(missing: dict[str, int], images: int, name: str, stacklevel: int) -> None:
    """Says how many labels are left out of a score.

    Args:
        missing: how many images lack a label, by factor.
        images: how many there are.
        name: what the labels belong to.
        stacklevel: how far up the call is that the warning is shown at, as in `warnings.warn`.
    """
    counts = [f"{count} of {images} of {factor}" for factor, count in missing.items() if count]
    if not counts:
        return
    more = f" and of {len(counts) - _NAMED} more" if len(counts) > _NAMED else ""
    warnings.warn(
        f"{name} hold missing labels, −1 or NaN: {', '.join(counts[:_NAMED])}{more}; each factor is scored over the "
        "images that have its label; number the classes from 0 if −1 was meant as one",
        VaelensWarning,
        stacklevel=stacklevel + 1,
    )


def _with_labels(
    codes: Float[np.ndarray, "rows d"], factors: Shaped[np.ndarray, "pairs k"], codes_name: str, factors_name: str
) -> tuple[CodeArray, Any]:
    """Leaves out the images without any label."""
    if len(codes) != len(factors):
        raise VaelensError(
            f"{codes_name} hold {len(codes)} images and {factors_name} {len(factors)}; expected the same images in "
            "both, in the same order, one row for each image; transpose arrays that hold one column for each image"
        )
    have = labelled(factors)
    if have.all():
        return codes, factors
    if not have.any():
        raise VaelensError(
            f"every label in {factors_name} is missing (−1 or NaN); expected images with labels; number the classes "
            "from 0 if −1 was meant as one, or use a score that needs no labels, such as gaussian_total_correlation"
        )
    counts = {f"factor {k}": int(count) for k, count in enumerate((~have).sum(axis=0))}
    warn_of_missing(counts, len(factors), factors_name, stacklevel=4)
    rows = np.flatnonzero(have.any(axis=1))
    return codes[rows], factors[rows]
