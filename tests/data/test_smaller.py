import numpy as np
import pytest

import vaelens as vl
from vaelens.errors import VaelensError

RENDERED = ["sprites", "room", "pendulum", "garden"]


@pytest.mark.parametrize("name", RENDERED)
@pytest.mark.parametrize("size", [32, 16])
def test_a_pixel_is_the_mean_of_its_block_of_the_full_rendering(name, size):
    full, ds = vl.load_dataset(name), vl.load_dataset(name, size=size)
    x, values = full.sample(6, seed=0)
    block = 64 // size

    smaller = ds.images(values)

    assert ds.image_shape == (x.shape[1], size, size)
    for row, column in ((0, 0), (3, 5), (size - 1, size - 1)):
        pixels = x[:, :, row * block : (row + 1) * block, column * block : (column + 1) * block]
        np.testing.assert_allclose(smaller[:, :, row, column], pixels.mean(dim=(2, 3)), atol=1e-6)


@pytest.mark.parametrize("name", RENDERED)
def test_images_pairs_and_records_are_of_the_size(name):
    ds = vl.load_dataset(name, size=16)
    x, x2, *_ = ds.pairs(ds.factors.names[0], 3, seed=0)

    assert x.shape == x2.shape == (3, *ds.image_shape)
    assert ds[0][0].shape == ds.image_shape
    assert ds.describe()["content_sha256"] != vl.load_dataset(name).describe()["content_sha256"]
    assert ds.options["size"] == 16
    assert "size" not in vl.load_dataset(name).options


def test_another_world_has_the_same_size():
    assert vl.load_dataset("garden", size=32).do(rain=3).sample(2, seed=0)[0].shape == (2, 3, 32, 32)


@pytest.mark.parametrize("size", [0, 48, 128, "big", 32.5, True])
def test_any_other_size_is_refused(size):
    with pytest.raises(VaelensError, match=r"size is .*; expected (64, 32 or 16 pixels|a whole number)"):
        vl.load_dataset("sprites", size=size)
