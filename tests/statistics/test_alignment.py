import numpy as np

from vaelens.statistics.alignment import align_latents


def test_permuted_and_rescaled_latents_are_matched():
    rng = np.random.default_rng(0)
    maps = rng.random((6, 40)) ** 4
    order = rng.permutation(6)
    scales = rng.uniform(0.5, 2, size=(6, 1))

    (first, whole), (indices, cosines) = align_latents([maps, (scales * maps)[order]])

    assert first.tolist() == list(range(6))
    np.testing.assert_allclose(whole, 1)
    assert indices.tolist() == order.tolist()
    np.testing.assert_allclose(cosines, 1)


def test_the_sum_of_cosines_is_the_largest_of_all_assignments():
    from itertools import permutations

    rng = np.random.default_rng(1)
    first, second = rng.random((5, 7)), rng.random((5, 7))
    cosines = second @ first.T / np.linalg.norm(second, axis=1)[:, None] / np.linalg.norm(first, axis=1)
    best = max(sum(cosines[row, column] for row, column in enumerate(order)) for order in permutations(range(5)))

    indices, matched = align_latents([first, second])[1]

    np.testing.assert_allclose(matched.sum(), best)
    np.testing.assert_allclose(matched, cosines[range(5), indices])


def test_a_latent_without_effect_matches_nothing():
    _, (indices, cosines) = align_latents([np.eye(3), np.array([[0.0, 0, 0], [1, 0, 0], [0, 0, 1]])])

    assert indices.tolist() == [1, 0, 2]
    assert cosines.tolist() == [0, 1, 1]


def test_another_number_of_latents_is_not_aligned():
    _, (indices, cosines) = align_latents([np.eye(3), np.eye(2)])

    assert (indices.size, cosines.size) == (0, 0)
