"""Sentences of models that make them true, and of models that make them false."""

from itertools import product

import numpy as np
import pytest

import vaelens as vl
from vaelens.report import sentences

LEVELS = 5
PARTS = ["reconstruction", "latent", "input", "patching", "mediation"]
LEFT, RIGHT = np.arange(16) % 4 < 2, np.arange(16) % 4 >= 2  # pixels of an image of 4 × 4


def two_halves(labels):
    """Images whose halves are as bright as two labels say."""
    left, right = (labels[:, k, None] / (LEVELS - 1) for k in range(2))
    return (left * LEFT + right * RIGHT).reshape(-1, 1, 4, 4)


def with_a_collapsed_latent(linear_of):
    """A model whose latent 2 holds the left half, 0 the right one, and 1 nothing: it is the prior for every image."""
    encode = np.stack([RIGHT * 0.5, np.zeros(16), LEFT * 0.5])  # four times the brightness
    return linear_of(encode, np.linalg.pinv(encode), shape=(1, 4, 4), logvar=[-6.0, 0.0, -6.0])


@pytest.fixture(scope="module")
def grid():
    labels = np.array(list(product(range(LEVELS), repeat=2)))
    return vl.ArrayDataset(two_halves(labels), factors=labels, names=["left", "right"])


def said_of(lens, ds, **options):
    return sentences(vl.analyse(lens, ds, n=24, only=PARTS, progress=False, **options))


def test_a_grid_is_changed_and_each_factor_moves_the_latent_that_mediates_it(linear_of, grid):
    said = said_of(with_a_collapsed_latent(linear_of), grid)
    (changes,) = [sentence for sentence in said if sentence.startswith("By d′")]
    assert "changing left moves latent 2 most (" in changes
    assert "; right latent 0 (" in changes
    (mediated,) = [sentence for sentence in said if sentence.startswith("Of the effect on the image")]
    assert "a latent that d′ names too for left (latent 2: 1" in mediated
    assert "right (latent 0: 1" in mediated


def test_a_collapsed_latent_is_named_nowhere_but_as_what_can_be_removed(linear_of, grid):
    said = said_of(with_a_collapsed_latent(linear_of), grid)
    (information,) = [sentence for sentence in said if "information" in sentence]
    assert information.startswith("2 of 3 latents carry 100 % of the information about the image")
    assert "removing latent 1 costs 0" in information
    assert not any("latent 1" in sentence for sentence in said if sentence != information)


def test_latents_that_play_the_same_part_are_not_told_apart(linear_of, grid):
    (strongest,) = [s for s in said_of(with_a_collapsed_latent(linear_of), grid) if "moves the image most" in s]
    assert strongest.startswith(("One of latents 0 and 2, which can't", "One of latents 2 and 0, which can't"))


def test_a_label_that_means_nothing_names_no_latent_and_nothing_is_called_changed(linear_of):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, LEVELS, size=(200, 2))
    images = two_halves(labels)
    shuffled = rng.permutation(labels[:, 0])[:, None]
    ds = vl.ArrayDataset(
        images, factors=np.concatenate([labels, shuffled], axis=1), names=["left", "right", "nonsense"]
    )
    said = said_of(with_a_collapsed_latent(linear_of), ds)
    assert not any("hanging" in sentence or "intervening" in sentence for sentence in said)
    assert not any(f"nonsense {word}" in sentence for sentence in said for word in ("lie", "in latent", "moves", "("))


def test_an_untrained_model_names_no_latent():
    labels = np.array(list(product(range(LEVELS), repeat=2)))
    images = two_halves(labels).repeat(2, axis=2).repeat(2, axis=3)
    ds = vl.ArrayDataset(images, factors=labels, names=["left", "right"])
    said = said_of(vl.Lens(vl.build_model("vae", image_shape=(1, 8, 8), latent_dim=3)), ds)
    (information,) = [sentence for sentence in said if "informati" in sentence]
    assert information.startswith("None of the 3 latents is informative")
    assert not any("latent " in sentence for sentence in said if sentence != information)
