"""The correspondence of the latents, or units, of several trainings, by where in the image they act."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment


def align_latents(maps: Sequence[Float[np.ndarray, "_ _"]]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Finds which latent of the first training each latent of the others corresponds to.

    With the effect maps as vectors m_i (of this training) and r_j (of the first), the one-to-one assignment with the
    largest sum of cos(m_i, r_j) (Kuhn 1955, Munkres 1957).

    Args:
        maps: of each training, a non-negative vector for each latent, such as its effect map over pixels.

    Returns:
        Of each training the indices `(d,)` in the first, and the cosines `(d,)` of the matched maps, from 0 (no
        common pixel) to 1 (the same up to a factor); a latent without any effect matches with 0. Empty where the
        number of latents or pixels differs from the first training's.

    Example:
        >>> first, second = np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([[0.0, 1.0], [3.0, 0.0]])
        >>> indices, cosines = align_latents([first, second])[1]
        >>> indices, cosines
        (array([1, 0]), array([1., 1.]))
    """
    reference = _unit(maps[0]) if maps else np.zeros((0, 0))
    matches = []
    for of_training in maps:
        if of_training.shape != reference.shape:
            matches.append((np.zeros(0, dtype=int), np.zeros(0)))
            continue
        cosines = np.clip(_unit(of_training) @ reference.T, 0, 1)
        rows, columns = linear_sum_assignment(cosines, maximize=True)
        matches.append((columns, cosines[rows, columns]))
    return matches


def _unit(vectors: Float[np.ndarray, "d p"]) -> Float[np.ndarray, "d p"]:
    """Scales vectors to length 1, but those of length 0."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)
