import json

import numpy as np
import pytest
import torch

import vaelens as vl

# Latent 0 sets the left half of a 2×2 image, latent 1 the right one.
APART = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
READ = np.array([[0.5, 0.0, 0.5, 0.0], [0.0, 0.5, 0.0, 0.5]])


class HalvesReader:
    """Reads how bright each half is: P(bright) is its mean, so a total-variation distance is a difference of means."""

    def __init__(self, factors=("left", "right"), image_shape=(1, 2, 2)):
        self.factors, self.image_shape = factors, image_shape
        self.accuracy = {"left": 0.75, "right": 1.0, "unclear": 0.5}

    def read(self, images):
        assert images.min() >= 0
        assert images.max() <= 1
        left, right = images[..., 0].mean(dim=(1, 2)), images[..., 1].mean(dim=(1, 2))
        # Of three values the other two share what is bright: the distance is again the difference of the means.
        return {
            "left": torch.stack([1 - left, left], dim=1).float(),
            "right": torch.stack([1 - right, right / 2, right / 2], dim=1).float(),
        }


@pytest.fixture
def images():
    return torch.rand(6, 1, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def lens(linear_of):
    return linear_of(READ, APART, shape=(1, 2, 2))


@pytest.fixture
def mixing(linear_of):
    """Each latent sets both halves, the second one less."""
    return linear_of(READ, [[1.0, 0.0], [1.0, 0.25], [1.0, 0.0], [1.0, 0.25]], shape=(1, 2, 2))


def halves(images):
    return images[:, 0].mean(dim=1).numpy()  # (n, 2)


def test_a_latent_that_changes_one_factor_is_wholly_specific_to_it(lens, images, intervals):
    values = [0.25, 0.75]
    effects = vl.latent_effects(lens, images, values=values, over="factors", reader=HalvesReader())
    z = halves(images)
    changed = np.mean([np.abs(v - z).mean(axis=0) for v in values], axis=0)  # (latents,)
    np.testing.assert_allclose(effects.factor_effect, np.diag(changed), rtol=1e-6)
    assert effects.factor_effect.dims == ("latent", "factor")
    assert effects.factor.values.tolist() == ["left", "right"]
    np.testing.assert_allclose(effects.specificity, 1e8)
    np.testing.assert_allclose(effects.specificity_normalised, 1)
    assert json.loads(effects.attrs["reader_accuracy"]) == {"left": 0.75, "right": 1.0}
    assert json.loads(effects.attrs["reader_left_out"]) == {"unclear": 0.5}
    assert effects.attrs["specificity_over"] == "factors"
    intervals(effects, "factor_effect")


def test_the_specificity_over_factors_is_that_of_their_shares(mixing, images):
    effects = vl.latent_effects(mixing, images * 0.5, values=[0.25], over="factors", reader=HalvesReader())
    # Latent 0 changes both factors alike, latent 1 the right one alone.
    np.testing.assert_allclose(effects.specificity, [1 / np.log(2), 1e8], rtol=1e-5)
    np.testing.assert_allclose(effects.specificity_normalised, [0, 1], atol=1e-6)
    found = vl.intervention_specificity(mixing, images * 0.5, "factors", values=[0.25], reader=HalvesReader())
    np.testing.assert_array_equal(found, effects.specificity)


def test_the_outputs_of_the_specificity_change_nothing_else(mixing, images, same):
    plain = vl.latent_effects(mixing, images)
    read = vl.latent_effects(mixing, images, over="factors", reader=HalvesReader())
    added = [name for name in read.variables if name.startswith(("factor", "specificity"))]
    same(plain.drop_vars([name for name in added if name in plain]), read.drop_vars(added), rtol=0, atol=0)


def test_swapped_codes_are_told_by_what_is_read(coded):
    # One channel, and the codes 0 and 1: an image of codes is itself.
    model = coded(codes=[[0.0], [1.0]])
    x = torch.tensor([[0.0, 1.0, 1.0, 0.0], [1.0, 1.0, 0.0, 0.0]], dtype=torch.float64).reshape(2, 1, 2, 2)
    effects = vl.latent_effects(model.lens, x, mode="swap", over="factors", reader=HalvesReader())
    # A flipped pixel is half of its half: the distance is ½ there, and 0 in the other half.
    np.testing.assert_allclose(effects.factor_effect, [[0.5, 0], [0, 0.5], [0.5, 0], [0, 0.5]])
    assert effects.factor_effect.dims == ("position", "factor")


@pytest.mark.parametrize(
    ("reader", "over", "message"),
    [
        (None, "factors", "needs a reader of the dataset's factors; give reader=vl.factor_reader"),
        ("sprites", "factors", "reader is a str; make one"),
        (HalvesReader(), "pixels", "over='pixels' reads no factors; give over='factors'"),
    ],
)
def test_a_reader_that_does_not_fit_is_refused(lens, images, reader, over, message):
    with pytest.raises(vl.VaelensError, match=message):
        vl.latent_effects(lens, images, over=over, reader=reader)


def test_a_reader_of_other_images_or_of_nothing_is_refused(lens, images):
    with pytest.raises(vl.VaelensError, match=r"images of shape \(1, 4, 4\), and the model's are \(1, 2, 2\)"):
        vl.latent_effects(lens, images, over="factors", reader=HalvesReader(image_shape=(1, 4, 4)))
    with pytest.raises(vl.VaelensError, match=r"trusts none of its factors .*left 75\.0%"):
        vl.latent_effects(lens, images, over="factors", reader=HalvesReader(factors=()))
