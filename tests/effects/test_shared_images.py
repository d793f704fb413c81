"""The design effect of pairs that share images, by hand."""

import numpy as np
import pytest
import torch
from scipy.stats import t

from vaelens.data.pair_draw import PairDraw
from vaelens.effects.shared_images import SharedImages, widening


def shared(first, second, values, weights=None):
    first, second = np.array(first), np.array(second)
    draw = PairDraw(first, second, np.zeros(len(first), np.float32), "label", torch.from_numpy, torch.from_numpy)
    images = SharedImages(draw, 1)
    values = torch.tensor(values, dtype=torch.float64)[:, None]
    weights = torch.ones_like(values) if weights is None else torch.tensor(weights, dtype=torch.float64)[:, None]
    for rows in (slice(0, 2), slice(2, None)):  # as they come in chunks
        images.add(weights[rows], values[rows])
    return images


def test_pairs_of_distinct_images_are_independent():
    images = shared([0, 1, 2], [3, 4, 5], [1.0, 2.0, 6.0])
    assert images.design_effect == pytest.approx(1)
    assert images.independent == 3


def test_pairs_that_share_an_image_vary_together():
    # The mean is 3, r = (2, 2, −2, −2). Image 7 has 2 + 2 and 8 has −2 − 2; the four others have r² = 4 each.
    images = shared([7, 7, 8, 8], [0, 1, 2, 3], [5.0, 5.0, 1.0, 1.0])
    assert images.design_effect == pytest.approx((16 + 16 + 4 * 4 - 16) / 16)
    assert images.independent == 2
    few = np.sqrt(2) * t.ppf(0.975, 1) / t.ppf(0.975, np.inf)
    assert widening(images, shared([0, 1], [2, 3], [1.0, 2.0])) == pytest.approx(np.sqrt(2) * few)


def test_weights_count():
    # The weighted mean is (2·1 + 1·4) / 3 = 2, w·r = (−2, 2): image 0 has 0, images 1 and 2 have 4 each.
    images = shared([0, 0], [1, 2], [1.0, 4.0], [2.0, 1.0])
    assert images.design_effect == pytest.approx(1)  # (0 + 4 + 4 − 8) / 8 is less than of independent pairs


def test_one_image_in_all_pairs_says_nothing():
    assert np.isnan(widening(shared([0, 0, 0], [1, 2, 3], [1.0, 2.0, 3.0]))).all()
