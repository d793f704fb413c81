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
    with pytest.raises(vl.VaelensError, match=r"of shape \(1, 4, 4\), and the model's images are of shape \(1, 2, 2\)"):
        vl.latent_effects(lens, images, over="factors", reader=HalvesReader(image_shape=(1, 4, 4)))
    with pytest.raises(vl.VaelensError, match=r"trusts none of its factors .*left 75\.0%"):
        vl.latent_effects(lens, images, over="factors", reader=HalvesReader(factors=()))


def test_each_unit_is_told_by_the_factors_it_changes(joined, layer, images, intervals):
    encoder = torch.nn.Sequential(torch.nn.Flatten(), layer(np.eye(4)), layer(READ))
    model = joined(encoder, torch.nn.Sequential(layer(APART), torch.nn.Unflatten(1, (1, 2, 2))))
    lens = vl.Lens(model, model.encoder, model.decoder, example=images[:1])
    base, source = images[:3], images[3:]
    effects = vl.patching_effects(lens, base, source, reader=HalvesReader())
    apart = np.abs(halves(source) - halves(base)).mean(axis=0)
    np.testing.assert_allclose(effects.factor_effect[effects.site.values == "latent"], np.diag(apart), rtol=1e-6)
    # The encoder's units are the pixels, each one half of a half; their outcome is the code, and yet they are read.
    pixels = (source - base).abs().mean(dim=0).flatten().numpy() / 2
    expected = pixels[:, None] * np.array([[1, 0], [0, 1], [1, 0], [0, 1]])
    np.testing.assert_allclose(effects.factor_effect[effects.site.values == "encoder.0"], expected, rtol=1e-5)
    assert effects.attrs["outcomes"] == ["encoder.0: code", "latent: image"]
    intervals(effects, "factor_effect")


def test_each_receiver_is_told_by_the_factors_that_the_path_through_it_changes(joined, layer, images, intervals):
    encoder = torch.nn.Sequential(torch.nn.Flatten(), layer(np.eye(4)), layer(READ))
    model = joined(encoder, torch.nn.Sequential(layer(APART), torch.nn.Unflatten(1, (1, 2, 2))))
    lens = vl.Lens(model, model.encoder, model.decoder, example=images[:1])
    base, source = images[:3], images[3:]
    # The upper pixel of the left half is patched: half of what the left half's mean would change by.
    effects = vl.path_effects(lens, base, source, "encoder.0", "latent", [0], reader=HalvesReader())
    apart = float((source[:, 0, 0, 0] - base[:, 0, 0, 0]).abs().mean()) / 2
    np.testing.assert_allclose(effects.factor_effect, [[apart, 0], [0, 0]], rtol=1e-6, atol=1e-9)
    assert effects.factor.values.tolist() == ["left", "right"]
    intervals(effects, "factor_effect")


@pytest.mark.parametrize("method", ["patch", "zero", "mean", "resample"])
@pytest.mark.parametrize("outcome", [None, "image"])
def test_reading_changes_no_other_number_of_patching(mixing, images, same, method, outcome):
    asked = {"method": method, "outcome": outcome}
    plain = vl.patching_effects(mixing, images[:3], images[3:], **asked)
    done = []
    read = vl.patching_effects(
        mixing, images[:3], images[3:], **asked, reader=HalvesReader(), progress=lambda *told: done.append(told)
    )
    same(plain, read[list(plain.data_vars)].drop_vars("factor", errors="ignore"), rtol=0, atol=0)
    assert done[-1][0] == done[-1][1]


def test_patching_one_unit_reads_as_the_decoded_image_does(mixing, images):
    reader = HalvesReader()
    base, source = images[:3], images[3:]
    effects = vl.patching_effects(mixing, base, source, sites="latent", reader=reader)
    z, other = mixing.encode(base), mixing.encode(source)
    for unit in range(2):
        changed = z.clone()
        changed[:, unit] = other[:, unit]
        before, after = (reader.read(mixing.decode(code).clamp(0, 1)) for code in (z, changed))
        expected = [((after[name] - before[name]).abs().sum(dim=1) / 2).mean() for name in reader.factors]
        np.testing.assert_allclose(effects.factor_effect[unit], expected, rtol=1e-5, atol=1e-7)


def test_a_quantised_models_units_are_told_by_what_is_read(vq_vae):
    model = vq_vae()
    lens = vl.Lens(model)
    images = torch.rand(6, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    reader = HalvesReader(image_shape=(1, 16, 16))
    effects = vl.patching_effects(lens, images[:3], images[3:], reader=reader)
    for site in ("encoder.0", "decoder.0"):
        chosen = effects.isel(unit=(effects.site.values == site) & (effects.index.values == 1))
        there = lens.run(images[3:], capture=[site])
        before = reader.read(lens.reconstruct(images[:3]))
        after = reader.read(lens.run(images[:3], interventions=[vl.Patch(site, 1, there)]).reconstruction)
        expected = [((after[name] - before[name]).abs().sum(dim=1) / 2).mean() for name in reader.factors]
        np.testing.assert_allclose(chosen.factor_effect[0], expected, atol=1e-6)


def test_the_whole_latent_mediates_all_that_is_read_and_a_half_what_is_its_own(lens, images, intervals):
    asked = {"site": "latent", "outcome": "factors", "reader": HalvesReader()}
    whole = vl.mediation_effects(lens, images[:3], images[3:], units="all", **asked)
    np.testing.assert_allclose([whole.indirect[0], whole.direct[0]], [1, 0], atol=1e-6)
    each = vl.mediation_effects(lens, images[:3], images[3:], **asked)
    # Changes by δ of the left's two probabilities and of the right's three: 2δ² and 1.5δ².
    squares = (halves(images[3:]) - halves(images[:3])) ** 2 @ np.diag([2, 1.5])
    np.testing.assert_allclose(each.indirect, squares.sum(axis=0) / squares.sum(), rtol=1e-5)
    np.testing.assert_allclose(each.direct, 1 - squares.sum(axis=0) / squares.sum(), rtol=1e-5)
    np.testing.assert_allclose(each.interaction, 0, atol=1e-6)
    np.testing.assert_allclose(each.total_norm, np.sqrt(squares.sum(axis=1)).mean(), rtol=1e-5)
    assert each.attrs["outcome"] == "factors"
    assert json.loads(each.attrs["reader_accuracy"]) == {"left": 0.75, "right": 1.0}
    intervals(each, "indirect", "total_norm")


def test_mediation_asks_for_the_reader_and_for_no_other_outcome_with_it(lens, images):
    with pytest.raises(vl.VaelensError, match="outcome='factors' needs a reader"):
        vl.mediation_effects(lens, images[:3], images[3:], "latent", outcome="factors")
    with pytest.raises(vl.VaelensError, match="outcome='image' reads no factors"):
        vl.mediation_effects(lens, images[:3], images[3:], "latent", reader=HalvesReader())
    with pytest.raises(vl.VaelensError, match=r"unknown outcome 'factor'; known: code, image, factors"):
        vl.mediation_effects(lens, images[:3], images[3:], "latent", outcome="factor", reader=HalvesReader())
    with pytest.raises(vl.VaelensError, match="unknown outcome 'factors'; known: code, image"):
        vl.patching_effects(lens, images[:3], images[3:], sites="latent", outcome="factors")


def test_a_changed_input_is_told_by_what_is_read_off_the_output(lens, intervals):
    # Half-images of brightness 0, ½ and 1: a full grid of two factors, which the model passes on as they are.
    grid = np.array([(left, right) for left in range(3) for right in range(3)])
    pixels = np.repeat(grid[:, None, None, :] / 2, 2, axis=2)
    ds = vl.ArrayDataset(pixels, grid, names=["dark", "bright"], kinds={"dark": "ordinal", "bright": "ordinal"})
    effects = vl.input_effects(lens, ds, n=20, seed=3, reader=HalvesReader())
    for k, name in enumerate(ds.factors.names):
        pairs = ds.pairs(name, 20, seed=3)
        changed = (pairs.f2[:, k] - pairs.f[:, k]).abs().double().mean() / 2
        np.testing.assert_allclose(effects.factor_read.sel(factor=name), np.eye(2)[k] * float(changed), atol=1e-6)
    assert effects.factor_read.dims == ("factor", "read_factor")
    assert effects.read_factor.values.tolist() == ["left", "right"]
    intervals(effects, "factor_read")


def test_a_manipulation_is_told_by_what_is_read_off_the_output(lens):
    ds = vl.ArrayDataset(np.full((4, 1, 2, 2), 0.5))
    effects = vl.input_effects(lens, ds, n=4, manipulations={"brightness": 0.25}, reader=HalvesReader())
    assert effects.factor_read.dims == ("manipulation", "read_factor")
    np.testing.assert_allclose(effects.factor_read, [[0.25, 0.25]], rtol=1e-5)
