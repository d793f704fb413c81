"""Models of series and volumes: the convolutional backbone along one axis and along three."""

import math

import pytest
import torch
from torch import nn

import vaelens as vl
from vaelens.models import backbone
from vaelens.models.grid import Grid

SHAPES = {"series": (2, 13), "volume": (1, 3, 7, 12)}
OBJECTIVES = ["vae", "beta-vae", "annealed-vae", "factor-vae", "beta-tc-vae", "dip-vae-i", "dip-vae-ii", "vq-vae"]
kinds = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


def observations(shape, n=16, seed=0):
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("side", [*range(1, 40), 63, 64, 65, 100, 1000, 44_100])
def test_a_grid_has_about_four_positions_and_few_zeros(side):
    grid = Grid((side,))
    before, after = grid.padding
    assert side + before + after == grid.sizes[0] * 2 ** grid.halvings[0]
    assert 0 <= after - before <= 1
    assert after + before <= max(0, side / 2)
    assert 3 <= grid.sizes[0] <= 6 or (side < 3 and grid.sizes[0] == side)


def test_axes_of_other_lengths_are_halved_as_often_as_each_needs():
    grid = Grid((1, 5, 16))
    assert (grid.halvings, grid.sizes, grid.channels) == ((0, 0, 2), (1, 5, 4), (32, 64))
    assert grid.kernel(0) == {"kernel_size": (1, 3, 4), "stride": (1, 1, 2), "padding": (0, 1, 1)}
    assert Grid((2,)).channels == (64,)
    for shape in ((1, 2, 3, 9), (3, 1), (5, 17), (1, 1, 1, 1)):
        assert backbone.encoder(shape, 4)(torch.zeros(2, *shape)).shape == (2, 4)
        assert backbone.decoder(shape, 2)(torch.zeros(2, 2)).shape == (2, *shape)


@pytest.mark.parametrize("spatial", [False, True])
def test_a_series_goes_through_the_layers_of_an_image_of_height_one(spatial):
    torch.manual_seed(0)
    x = observations((2, 30))
    for make in (backbone.encoder, backbone.decoder):
        series, image, volume = make((2, 30), 6, spatial), make((2, 1, 30), 6, spatial), make((2, 1, 1, 30), 6, spatial)
        for other in (image, volume):
            weights = zip(series.state_dict().values(), other.state_dict().values(), strict=True)
            other.load_state_dict(
                dict(zip(other.state_dict(), (own.reshape(theirs.shape) for own, theirs in weights), strict=True))
            )
        values = x if make is backbone.encoder else torch.randn(16, 6, *[4] * spatial)
        expected = series(values)
        for other, axes in ((image, 1), (volume, 2)):
            given = values if values.ndim == 2 else values.reshape(16, values.shape[1], *[1] * axes, values.shape[-1])
            torch.testing.assert_close(other(given).reshape(expected.shape), expected, rtol=1e-5, atol=1e-6)


@kinds
def test_padding_is_of_zeros_and_cut_off_again(shape):
    torch.manual_seed(0)
    grid = Grid(shape[1:])
    padded = torch.nn.functional.pad(observations(shape), grid.padding)
    large = tuple(padded.shape[1:])
    assert large != shape
    small, framed = backbone.encoder(shape, 4), backbone.encoder(large, 4)
    framed.load_state_dict(small.state_dict())
    torch.testing.assert_close(small(observations(shape)), framed(padded))
    small, framed = backbone.decoder(shape, 4), backbone.decoder(large, 4)
    framed.load_state_dict(small.state_dict())
    z = torch.randn(3, 4)
    inside = nn.functional.pad(framed(z), [-zeros for zeros in grid.padding])
    torch.testing.assert_close(small(z), inside)


@kinds
@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_trains_on_series_and_volumes(name, shape, tmp_path):
    x = observations(shape)
    codes = {"codes": 8} if name == "vq-vae" else {}
    model = vl.build_model(name, shape, latent_dim=2, **codes)
    first = vl.train(model, x, steps=2, batch_size=8, log_every=1, progress=False)
    assert all(math.isfinite(value) for value in first.terms.values())
    if name in ("vae", "vq-vae"):
        model.save_pretrained(tmp_path)
        loaded = vl.VAE.from_pretrained(tmp_path)
        assert torch.equal(loaded.decode(loaded.encode(x)[0]), model.eval().decode(model.encode(x)[0]))
        assert loaded.observation.shape == shape


@kinds
def test_a_loss_is_summed_over_all_values_of_an_observation_in_nats(shape):
    x = observations(shape, n=5).double()
    model = vl.build_model("vae", shape, latent_dim=2).double()
    with torch.no_grad():
        model.mean.log_scale.copy_(torch.linspace(-1, 1, shape[0]))
        logits = model.logits(model.encode(x)[0])
        scale = model.mean.log_scale.exp().reshape(-1, *[1] * (len(shape) - 1)).expand(shape)
        expected = -torch.distributions.Normal(logits, scale).log_prob(x).flatten(1).sum(1)
        torch.testing.assert_close(model.negative_log_likelihood(logits, x), expected)


@kinds
@pytest.mark.parametrize("name", ["vae", "vq-vae"])
def test_every_unit_patched_is_what_a_hook_gives(name, shape):
    x = observations(shape, n=4)
    model = vl.build_model(name, shape, latent_dim=2, **({"codes": 8} if name == "vq-vae" else {}), seed=1).eval()
    lens = vl.Lens(model)
    decoder = dict(model.decoder.named_children())
    assert list(lens.sites)[-1] == "decoder.3"  # a stage for each layer: what is cut off again makes none
    sites = ["encoder.0", "decoder.1", "decoder.2"]
    modules = [model.encoder.relu0, decoder["relu1" if name == "vq-vae" else "unflatten"], decoder["relu2"]]
    patched = vl.patching_effects(lens, x[:2], x[2:], sites=sites, outcome="image", progress=False)

    def output(values, module=None, unit=None, source=None):
        def replaced(hooked, args, out):
            out = out.clone()
            out[:, unit] = source[:, unit]
            return out

        handle = None if module is None else module.register_forward_hook(replaced)
        with torch.no_grad():
            decoded = model.decode(model.encode(values)[0])
        if handle is not None:
            handle.remove()
        return decoded

    for site, module in zip(sites, modules, strict=True):
        kept = []
        handle = module.register_forward_hook(lambda hooked, args, out, kept=kept: kept.append(out.clone()))
        output(x[2:])
        handle.remove()
        effects = patched.effect.values[patched.site.values == site]
        base = output(x[:2])
        for unit in (0, len(effects) - 1):
            moved = (output(x[:2], module, unit, kept[0]) - base).flatten(1).norm(dim=1).mean()
            assert effects[unit] == pytest.approx(float(moved), rel=1e-4, abs=1e-7)
    effects = vl.latent_effects(lens, x, values=[1.5], progress=False)
    with torch.no_grad():
        z = model.encode(x)[0]
        base, moved = model.decode(z), z.clone()
        moved[:, 1] = 1.5
        expected = (model.decode(moved) - base).flatten(1).norm(dim=1).mean()
    assert float(effects.ces[1]) == pytest.approx(float(expected), rel=1e-5, abs=1e-7)
    assert effects.effect_map.dims[2:] == lens.observation.axes[1:]


def test_shapes_that_no_convolution_takes_are_one_sentence():
    for shape in ((2, 0), (0, 8), (1, 4, 0, 4), (1, 1, 1, 1, 1)):
        with pytest.raises(vl.VaelensError, match=r"unsupported image shape .* \(channels, time\) of series"):
            vl.build_model("vae", shape)
    with pytest.raises(vl.VaelensError, match="has 33,554,432 values; expected at most 16,777,216"):
        vl.build_model("vae", (2, 2**24))
    model = vl.build_model("vae", (2, 13))
    with pytest.raises(vl.VaelensError, match=r"the data gives \(64, 2, 12\) for a batch; this model expects"):
        vl.train(model, observations((2, 12), 64), steps=1, progress=False)


def test_what_is_no_series_is_told_in_words_of_series():
    model = vl.build_model("vae", (2, 13))
    for data, message in (
        (observations((2, 13)).double(), r"the data gives series of torch\.float64; expected torch\.float32$"),
        (observations((2, 13))[:0], "data holds no series"),
        (torch.full((4, 2, 13), torch.nan), "series contain NaN or infinite values; expected finite numbers"),
    ):
        with pytest.raises(vl.VaelensError, match=message):
            vl.train(model, data, steps=1, batch_size=4, progress=False)
