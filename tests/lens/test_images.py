import warnings

import numpy as np
import pytest
import torch

import vaelens as vl
from vaelens.observation import checked_images

GOOD = torch.full((2, 1, 16, 16), 0.5)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([0.5], r"images are a list; give a tensor or array of shape \(n, C, H, W\) in \[0, 1\]"),
        (None, "images are a NoneType"),
        (GOOD[0], r"images have shape \(1, 16, 16\), expected \(n, C, H, W\); add a batch axis with x\[None\]"),
        (GOOD[0, 0], r"images have shape \(16, 16\), expected \(n, C, H, W\)$"),
        (GOOD[..., :8], r"images have shape \(1, 16, 8\) each, this model takes \(1, 16, 16\)$"),
        (
            GOOD.permute(0, 2, 3, 1),
            r"this model takes \(1, 16, 16\); move the channel axis with x\.permute\(0, 3, 1, 2",
        ),
        (GOOD[:0], r"no images given \(n = 0\); give at least one"),
        ((GOOD * 255).to(torch.uint8), r"type torch\.uint8, expected floats in \[0, 1\]; for 0\.\.255 use x / 255"),
        (GOOD.bool(), r"type torch\.bool, expected floats"),
        (np.zeros((1, 1, 16, 16), dtype="c8"), "type complex64, expected floats"),
        (np.full((1, 1, 16, 16), "a"), "type <U1, expected floats"),
        (torch.full_like(GOOD, torch.nan), "images contain NaN or infinite values"),
        (torch.full_like(GOOD, torch.inf), "images contain NaN or infinite values"),
        (GOOD * 510, r"images range from 255 to 255, expected \[0, 1\]; for 0\.\.255 use x / 255"),
        (GOOD * 3, r"images range from 1\.5 to 1\.5, expected \[0, 1\]$"),
        (GOOD - 1, r"images range from -0\.5 to -0\.5, expected \[0, 1\]; for -1\.\.1 use \(x \+ 1\) / 2"),
        (GOOD - 3, r"images range from -2\.5 to -2\.5, expected \[0, 1\]$"),
    ],
)
def test_images_that_do_not_fit_are_refused_with_what_to_do(small, images, message):
    for call in (small.lens.encode, small.lens.reconstruct, small.lens.run, small.lens.posterior):
        with pytest.raises(vl.VaelensError, match=message):
            call(images)


def test_rounding_beyond_the_range_is_forgiven_and_more_is_not():
    assert torch.equal(checked_images(GOOD + 0.50005), GOOD + 0.50005)
    with pytest.raises(vl.VaelensError, match="images range from"):
        checked_images(GOOD + 0.502)


def test_arrays_of_every_layout_are_taken(small):
    values = np.random.default_rng(0).random((2, 1, 16, 16)).astype(np.float32)
    expected = small.lens.encode(torch.from_numpy(values.copy()))
    frozen = values.copy()
    frozen.setflags(write=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for same in (
            values,
            values[:, :, ::-1].copy()[:, :, ::-1],
            frozen,
            values.astype(">f4"),
            np.asfortranarray(values),
        ):
            assert torch.equal(small.lens.encode(same), expected)
    torch.testing.assert_close(small.lens.encode(values.astype(float)), expected)


def test_images_are_given_the_type_of_the_model(build):
    model = build("double")
    assert model.x.dtype == torch.float32
    run = model.lens.run(model.x, capture="all")
    assert {values.dtype for values in (run.code, run.reconstruction, *run.activations.values())} == {torch.float64}


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1.5, -0.5])
def test_one_wrong_value_among_many_images_is_found(wrong):
    images = torch.full((70, 1, 128, 128), 0.5)  # more than are looked at together
    images[69, 0, 127, 127] = wrong
    with pytest.raises(vl.VaelensError, match="images contain NaN" if not np.isfinite(wrong) else "images range from"):
        checked_images(images)


def test_a_read_only_array_is_taken_as_it_is_and_never_written(small):
    frozen = np.random.default_rng(0).random((2, 1, 16, 16)).astype(np.float32)
    kept = frozen.copy()
    frozen.setflags(write=False)
    assert checked_images(frozen).data_ptr() == frozen.ctypes.data
    small.lens.run(frozen, [vl.Set("encoder.0", 0, 1.0)], capture="all")
    vl.latent_effects(small.lens, frozen)
    vl.manipulate(frozen, "brightness")
    np.testing.assert_array_equal(frozen, kept)
