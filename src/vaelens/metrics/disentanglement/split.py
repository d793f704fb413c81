"""The images that a predictor is fitted to, and the others that it is tested on."""

import numpy as np
from jaxtyping import Float, Shaped
from numpy.typing import ArrayLike

from vaelens.arguments import Seed
from vaelens.errors import VaelensError
from vaelens.metrics.disentanglement.arrays import (
    CodeArray,
    FactorArray,
    HeldOutCodeArray,
    HeldOutFactorArray,
    HeldOutValueArray,
    ValueArray,
    check_matrix,
)
from vaelens.metrics.disentanglement.pairs import check_pair_of_kinds


def check_split(
    codes: ArrayLike,
    factors: ArrayLike,
    test_codes: ArrayLike | None,
    test_factors: ArrayLike | None,
    seed: Seed,
    continuous: ArrayLike = False,
) -> tuple[CodeArray, FactorArray | ValueArray, HeldOutCodeArray, HeldOutFactorArray | HeldOutValueArray]:
    """Returns the training and the test images, without a test set by a seeded random split of the images.

    Two thirds of the images (rounded up) go to training and the rest to the test: training decides the
    importances of DCI, so it takes the larger part. Images without any label are left out of both.

    Args:
        codes: `(N, d)`, see `check_codes`.
        factors: `(N, K)`, see `check_kinds`.
        test_codes: `(M, d)`, or None.
        test_factors: `(M, K)`, or None, both or neither.
        seed: seed of the split, 0 or more; without effect where a test set is given.
        continuous: which factors are, see `check_continuous`.

    Returns:
        Training codes and factors, test codes and factors.

    Raises:
        VaelensError: as `check_pair_of_kinds`, if only one of the test arrays is given, if it has other latents or
            factors than the training array, if the seed is no seed, or if there is too little to split.

    Example:
        >>> parts = check_split(np.zeros((30, 4)), np.zeros((30, 2)), None, None, seed=0)
        >>> [part.shape for part in parts]
        [(20, 4), (20, 2), (10, 4), (10, 2)]
    """
    return split(*check_pair_of_kinds(codes, factors, continuous), test_codes, test_factors, seed, continuous)


def split(
    codes: Float[np.ndarray, "all d"],
    factors: Shaped[np.ndarray, "all k"],
    test_codes: ArrayLike | None,
    test_factors: ArrayLike | None,
    seed: Seed,
    continuous: ArrayLike = False,
) -> tuple[CodeArray, FactorArray | ValueArray, HeldOutCodeArray, HeldOutFactorArray | HeldOutValueArray]:
    """Splits codes and factors that are checked already, as `check_split` does."""
    if not 0 <= seed < 2**32:
        raise VaelensError(f"seed is {seed}; expected a whole number from 0 to 2**32 - 1")
    if test_codes is None and test_factors is None:
        if len(codes) < 3:
            raise VaelensError(
                f"codes hold {len(codes)} images; expected at least 3 to split into training and test; "
                "give more images, or a test set"
            )
        order = np.random.default_rng(seed).permutation(len(codes))
        train, test = np.split(order, [-(-2 * len(order) // 3)])
        return codes[train], factors[train], codes[test], factors[test]
    if test_codes is None or test_factors is None:
        present, absent = ("test_factors", "test_codes")[:: 1 if test_codes is None else -1]
        raise VaelensError(
            f"{present} came without {absent}; expected both or neither; "
            f"give {absent} too, or neither for a seeded split of the images"
        )
    for name, column, letter, array, test_array in (
        ("codes", "latent", "d", codes, test_codes),
        ("factors", "factor", "K", factors, test_factors),
    ):
        columns = check_matrix(test_array, f"test_{name}", column, letter).shape[1]
        if array.shape[1] != columns:
            raise VaelensError(
                f"test_{name} hold {columns} {column}s and {name} {array.shape[1]}; "
                "expected the same columns in both; take both from the same model and dataset"
            )
    return codes, factors, *check_pair_of_kinds(test_codes, test_factors, continuous, "test_codes", "test_factors")
