"""What is drawn when a factor is held, how often an image is encoded, and which datasets and lenses are refused."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import vaelens as vl
from vaelens.errors import VaelensError
from vaelens.metrics.disentanglement import beta_vae_score, factor_vae_score
from vaelens.metrics.disentanglement.held_factors import DrawnCodes, HeldFactors


def table(factors, **options):
    return vl.ArrayDataset(np.zeros((len(factors), 1, 1, 2), dtype=np.uint8), factors, **options)


def fake_lens(codes):
    """A lens that gives these codes to images (n, 1, 1, 2), the same to all."""
    return SimpleNamespace(representation=lambda x: torch.as_tensor(codes).expand(len(x), *np.shape(codes)))


@pytest.mark.parametrize("paired", [False, True])
def test_the_held_factor_is_shared_and_the_others_are_uniform(pixels, paired):
    ds = pixels(3, 4, 5)
    held, first, second = HeldFactors(ds).draw(900, 40, np.random.default_rng(0), paired)
    assert held.shape == (900,)
    assert first.shape == second.shape == (900, 40)
    f, f2 = (ds.factor_values(indices.reshape(-1)).reshape(900, 40, 3) for indices in (first, second))
    np.testing.assert_allclose(np.bincount(held) / 900, 1 / 3, atol=5 * np.sqrt(2 / 9 / 900))
    for k, size in enumerate((3, 4, 5)):
        rows = held == k
        np.testing.assert_array_equal(f[rows, :, k], f2[rows, :, k])
        if not paired:
            assert (f2[rows, :, k] == f2[rows, :1, k]).all()
            assert (first[rows] == first[rows][:, :1]).all()
        values = f2[rows, :, k] if paired else f2[rows, 0, k]
        uniform = 1 / size
        np.testing.assert_allclose(
            np.bincount(values.reshape(-1)) / values.size, uniform, atol=5 * np.sqrt(uniform / values.size)
        )
        for free_factor in {0, 1, 2} - {k}:
            frequencies = np.bincount(f2[rows, :, free_factor].reshape(-1)) / f2[rows, :, free_factor].size
            uniform = 1 / (3, 4, 5)[free_factor]
            np.testing.assert_allclose(frequencies, uniform, atol=5 * np.sqrt(uniform / f2[rows, :, free_factor].size))
            # Drawn apart from the partner's.
            assert np.mean(f[rows, :, free_factor] == f2[rows, :, free_factor]) == pytest.approx(uniform, abs=0.03)


@pytest.mark.parametrize("paired", [False, True])
def test_in_a_table_rows_share_the_value_and_a_value_of_one_row_is_never_held(paired):
    ds = table([[0, 0], [0, 1], [1, 0], [2, 0], [2, 1], [2, 0]])
    held, first, second = HeldFactors(ds).draw(500, 4, np.random.default_rng(0), paired)
    values = ds.factor_values(np.arange(6))
    for k in (0, 1):
        np.testing.assert_array_equal(values[first[held == k], k], values[second[held == k], k])
    assert set(first[held == 0].reshape(-1)) == {0, 1, 3, 4, 5}  # image 2 alone has its value
    assert set(second[held == 1].reshape(-1)) == set(range(6))


def test_images_are_encoded_once_and_in_order(pixels):
    ds, seen = pixels(40, 60), []

    def representation(x):
        seen.append(x)
        return x.reshape(len(x), 2)

    drawn = np.random.default_rng(0).integers(len(ds), size=(700, 4))
    told = []
    progress = lambda done, total: told.append((done, total))  # noqa: E731
    codes = DrawnCodes(SimpleNamespace(representation=representation), ds, progress, drawn[:, :2], drawn[:, 2:])
    assert len(seen) > 1
    assert sum(map(len, seen)) == len(codes.table) == len(np.unique(drawn))
    assert told == [(sum(map(len, seen[: k + 1])), len(codes.table)) for k in range(len(seen))]
    expected = ds.images_at(drawn.reshape(-1)).reshape(700, 4, 2).numpy()
    np.testing.assert_array_equal(codes.at(drawn), expected)
    np.testing.assert_array_equal(codes.at(drawn[3, 2:]), expected[3, 2:])


@pytest.mark.parametrize("score", [factor_vae_score, beta_vae_score])
@pytest.mark.parametrize(
    ("ds", "message"),
    [
        (np.zeros((3, 2)), r"ds is a ndarray; expected a dataset, from vl\.load_dataset or vl\.ArrayDataset"),
        (table(np.zeros((9, 0), int)), "arrays has no factors; this score holds one factor while the others change"),
        (table(np.arange(9)[:, None] % 3), "arrays has 1 factor that varies; expected at least 2"),
        (
            table(np.column_stack([np.arange(9) % 2, np.arange(9)]), names=["parity", "number"]),
            "factor 'number' of arrays has another value in every image, so it cannot be held",
        ),
    ],
)
def test_datasets_in_which_nothing_can_be_held_are_refused(score, ds, message):
    with pytest.raises(VaelensError, match=message):
        score(fake_lens([0.0, 1.0]), ds)


@pytest.mark.parametrize("score", [factor_vae_score, beta_vae_score])
@pytest.mark.parametrize(
    ("lens", "message"),
    [
        (3, r"lens is a int; expected a vl\.Lens, such as vl\.Lens\(model\)"),
        (fake_lens([0.0, np.nan]), r"the lens's representations hold values that are not finite .* latent 1"),
    ],
)
def test_lenses_without_codes_are_refused(score, lens, message):
    ds = table([[0, 0], [0, 1], [1, 0], [1, 1]])
    with pytest.raises(VaelensError, match=message):
        score(lens, ds, n_train=20, n_test=5, batch_size=4)


@pytest.mark.parametrize("score", [factor_vae_score, beta_vae_score])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_train": 0}, "n_train is 0; expected a whole number of at least"),
        ({"n_test": 1.5}, "n_test is 1.5; expected a whole number of at least 1"),
        ({"batch_size": 0}, "batch_size is 0; expected a whole number of at least"),
        ({"seed": -1}, "seed is -1; expected a whole number from 0"),
    ],
)
def test_wrong_counts_are_refused(score, options, message):
    with pytest.raises(VaelensError, match=message):
        score(fake_lens([0.0, 1.0]), table([[0, 0], [0, 1], [1, 0], [1, 1]]), **options)
