import numpy as np
import pytest
import torch
from torch import nn

import vaelens as vl
from vaelens.effects.manipulations import BLOCK, MANIPULATIONS, resolved
from vaelens.observation import Observation


@pytest.fixture
def images():
    return torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", MANIPULATIONS)
def test_every_manipulation_changes_images_and_keeps_them_images(images, name):
    kept = images.clone()
    for strength in (None, MANIPULATIONS[name][2]):
        changed = vl.manipulate(images, name, strength)
        assert changed.shape == images.shape
        assert changed.dtype == images.dtype
        assert 0 <= changed.min() <= changed.max() <= 1
        if strength != 360:
            assert not torch.equal(changed, images)
    assert torch.equal(images, kept)
    assert torch.equal(vl.manipulate(images, name), vl.manipulate(images, name, MANIPULATIONS[name][1]))
    assert torch.equal(vl.manipulate(images.numpy(), name), vl.manipulate(images, name))
    assert vl.manipulate(images.double(), name).dtype == torch.float64


@pytest.mark.parametrize("name", MANIPULATIONS)
def test_only_place_and_noise_are_drawn_by_the_seed(images, name):
    before = torch.get_rng_state()
    same = torch.equal(vl.manipulate(images, name, seed=0), vl.manipulate(images, name, seed=1))
    assert same == (name not in ("occlude", "noise"))
    assert torch.equal(vl.manipulate(images, name, seed=1), vl.manipulate(images, name, seed=1))
    assert torch.equal(torch.get_rng_state(), before)


def test_brightness_is_added_and_cut_at_white():
    image = torch.tensor([0.0, 0.25, 0.5, 1.0]).reshape(1, 1, 2, 2)
    assert vl.manipulate(image, "brightness", 0.5).flatten().tolist() == [0.5, 0.75, 1.0, 1.0]


def test_shift_moves_to_the_right_and_black_comes_in():
    image = torch.arange(1, 9.0).reshape(1, 1, 2, 4) / 8
    moved = vl.manipulate(image, "shift", 0.25) * 8
    assert moved[0, 0].tolist() == [[0, 1, 2, 3], [0, 5, 6, 7]]
    assert (vl.manipulate(image, "shift", 0.5) * 8)[0, 0].tolist() == [[0, 0, 1, 2], [0, 0, 5, 6]]
    assert torch.equal(vl.manipulate(image, "shift", 0.01), vl.manipulate(image, "shift", 0.25))  # at least a pixel
    assert (vl.manipulate(image, "shift", 1.0) == 0).all()


def test_occlusion_blacks_out_a_square_of_its_size_somewhere_in_each_image():
    images = torch.ones(40, 2, 8, 8)
    for strength, side in ((0.25, 2), (0.5, 4), (1.0, 8), (0.01, 1)):
        black = vl.manipulate(images, "occlude", strength) == 0
        assert torch.equal(black[:, 0], black[:, 1])
        assert (black[:, 0].sum(dim=(1, 2)) == side * side).all()
        rows, columns = black[:, 0].any(dim=2), black[:, 0].any(dim=1)
        assert (rows.sum(dim=1) == side).all()
        assert (columns.sum(dim=1) == side).all()
    places = {tuple(image.flatten().tolist()) for image in vl.manipulate(images[:, :1], "occlude", 0.25)}
    assert len(places) > 20
    kept = vl.manipulate(torch.full((1, 1, 8, 8), 0.7), "occlude", 0.25)
    assert kept.unique().tolist() == pytest.approx([0, 0.7])


def test_an_occluder_reaches_every_edge():
    black = vl.manipulate(torch.ones(400, 1, 4, 4), "occlude", 0.5)[:, 0] == 0
    covered = black.any(dim=0)
    assert covered.all()


def test_blur_keeps_a_constant_image_and_the_sum_of_a_point():
    flat = torch.full((1, 2, 9, 9), 0.3, dtype=torch.float64)
    torch.testing.assert_close(vl.manipulate(flat, "blur", 2.0), flat)
    torch.testing.assert_close(vl.manipulate(flat, "blur", 16.0), flat)
    point = torch.zeros(1, 1, 21, 21, dtype=torch.float64)
    point[0, 0, 10, 10] = 1
    blurred = vl.manipulate(point, "blur", 1.0)[0, 0]
    weights = np.exp(-0.5 * np.arange(-3, 4) ** 2.0)
    weights /= weights.sum()
    expected = np.zeros((21, 21))
    expected[7:14, 7:14] = np.outer(weights, weights)
    np.testing.assert_allclose(blurred, expected, atol=1e-12)


def test_blur_does_not_mix_channels():
    images = torch.zeros(1, 2, 8, 8)
    images[:, 0] = 1
    blurred = vl.manipulate(images, "blur")
    assert (blurred[:, 1] == 0).all()
    torch.testing.assert_close(blurred[:, 0], images[:, 0])


def test_noise_has_its_standard_deviation():
    flat = torch.full((1, 1, 300, 300), 0.5, dtype=torch.float64)
    added = vl.manipulate(flat, "noise", 0.1) - flat
    assert float(added.std()) == pytest.approx(0.1, rel=0.02)
    assert float(added.mean()) == pytest.approx(0, abs=0.002)


@pytest.mark.parametrize(("degrees", "turns"), [(90.0, 1), (180.0, 2), (270.0, 3), (360.0, 0)])
def test_rotation_is_counter_clockwise(images, degrees, turns):
    turned = vl.manipulate(images, "rotate", degrees)
    torch.testing.assert_close(turned, torch.rot90(images, turns, dims=(2, 3)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(5, 9), (9, 5), (9, 9)])
def test_rotation_keeps_angles_and_lengths_whatever_the_shape(shape):
    height, width = shape
    image = torch.zeros(1, 1, height, width, dtype=torch.float64)
    row, column = height // 2, width // 2
    image[0, 0, row, column + 2] = 1
    turned = vl.manipulate(image, "rotate", 90.0)
    expected = torch.zeros_like(image)
    expected[0, 0, row - 2, column] = 1
    torch.testing.assert_close(turned, expected, atol=1e-6, rtol=0)


def test_black_comes_in_at_the_corners_of_a_rotation():
    turned = vl.manipulate(torch.ones(1, 1, 9, 9), "rotate", 45.0)[0, 0]
    assert turned[0, 0] == turned[0, 8] == turned[8, 0] == turned[8, 8] == 0
    assert turned[4, 4] == 1


@pytest.mark.parametrize(
    ("name", "strength", "message"),
    [
        ("blurr", None, r"unknown manipulation 'blurr'; known: occlude, blur, .*; did you mean 'blur'\?"),
        ("blur", 0, "the strength of 'blur' is 0; expected above 0 and at most 16"),
        ("blur", -1.0, r"the strength of 'blur' is -1\.0; expected above 0 and at most 16"),
        ("occlude", 1.5, r"the strength of 'occlude' is 1\.5; expected above 0 and at most 1$"),
        ("rotate", 361, "the strength of 'rotate' is 361; expected above 0 and at most 360"),
        ("noise", float("nan"), "the strength of 'noise' is nan"),
        ("noise", "much", "the strength of 'noise' is 'much'"),
        ("noise", True, "the strength of 'noise' is True"),
    ],
)
def test_manipulations_that_do_not_exist_or_fit_are_refused(images, name, strength, message):
    with pytest.raises(vl.VaelensError, match=message):
        vl.manipulate(images, name, strength)


def test_what_is_no_image_is_refused(images):
    with pytest.raises(vl.VaelensError, match=r"expected floats in \[0, 1\]; for 0\.\.255 use x / 255"):
        vl.manipulate((images * 255).to(torch.uint8), "blur")
    with pytest.raises(vl.VaelensError, match=r"add a batch axis with x\[None\]"):
        vl.manipulate(images[0], "blur")


@pytest.mark.parametrize("name", MANIPULATIONS)
def test_images_may_be_manipulated_a_few_at_a_time(name):
    images = torch.rand(150, 1, 3, 5, generator=torch.Generator().manual_seed(1))
    change = resolved(vl.Manipulation(name), Observation.image(images.shape[1:])).drawing(seed=7)
    parts = torch.cat([change(part) for part in images.split(BLOCK)])
    assert torch.equal(parts, vl.manipulate(images, name, seed=7))


def test_one_observation_is_not_permuted_and_none_is_left_alone_behind_a_block():
    linear = nn.Linear(3, 3)
    lens = vl.Lens(linear, encode=linear, decode=lambda z: z, example=torch.randn(4, 3), progress=False)
    ds = vl.ArrayDataset(np.random.default_rng(0).normal(size=(65, 3)), observation=vl.Observation.vector(3))

    with pytest.raises(vl.VaelensError, match="permute takes the values of another observation, and there is one"):
        vl.manipulation_effects(lens, ds, ["permute"], n=1, progress=False)
    assert vl.manipulation_effects(lens, ds, ["permute"], n=65, progress=False).attrs["pairs"] == 64
    assert vl.manipulation_effects(lens, ds, ["noise"], n=65, progress=False).attrs["pairs"] == 65
