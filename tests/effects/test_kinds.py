"""Vectors, series and volumes: a network on data of several shapes gives the same numbers, in the data's own words."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import vaelens as vl
from vaelens.effects.ces_by_mode import ces_by_mode
from vaelens.observation import Observation

FEATURES, HIDDEN, LATENTS = 6, 5, 3
NAMES = [f"gene {k}" for k in range(FEATURES)]


class Network(nn.Module):
    """A dense VAE on vectors, (n, 6)."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Sequential(nn.Linear(FEATURES, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2 * LATENTS))
        self.decoder = nn.Sequential(nn.Linear(LATENTS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, FEATURES))

    def encode(self, x):
        return self.encoder(x).chunk(2, dim=1)


SHAPES = {"vector": (FEATURES,), "image": (FEATURES, 1, 1), "series": (1, FEATURES), "volume": (FEATURES, 1, 1, 1)}


@pytest.fixture(scope="module")
def x():
    return 3 * torch.randn(24, FEATURES, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def kinds(x):
    """The network on the same numbers in each shape, without a range."""
    network, lenses = Network().eval(), {}
    for kind, shape in SHAPES.items():
        observation = Observation.of_shape(shape)
        if kind == "image":
            observation = Observation(shape, observation.axes, noun="images", unit="pixel")
        lenses[kind] = vl.Lens(
            network,
            lambda values: network.encode(values.flatten(1)),
            lambda z, shape=shape: network.decoder(z).reshape(-1, *shape),
            example=x.reshape(-1, *shape),
            observation=observation,
        )
    return SimpleNamespace(lenses=lenses, data={kind: x.reshape(-1, *shape) for kind, shape in SHAPES.items()})


CALLS = {
    "latent_effects": lambda lens, x: vl.latent_effects(lens, x, progress=False),
    "over latents": lambda lens, x: vl.latent_effects(lens, x, over="latents", mode="posterior", progress=False),
    "ces_by_mode": lambda lens, x: ces_by_mode(lens, x, progress=False),
    "patching_effects": lambda lens, x: vl.patching_effects(lens, x[:12], x[12:], progress=False),
    "ablation": lambda lens, x: vl.patching_effects(lens, x, method="resample", outcome="image", progress=False),
    "mediation_effects": lambda lens, x: vl.mediation_effects(lens, x[:12], x[12:], "decoder.0", progress=False),
    "path_effects": lambda lens, x: vl.path_effects(lens, x[:12], x[12:], "encoder.0", "latent", progress=False),
    "decoder_responses": lambda lens, x: vl.decoder_responses(lens, x, progress=False),
    "manipulation_effects": lambda lens, x: vl.manipulation_effects(
        lens, vl.ArrayDataset(x, observation=lens.observation), {"noise": 0.5}, n=24, progress=False
    ),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", ["image", "series", "volume"])
def test_one_network_gives_the_same_numbers_whatever_the_shape(kinds, call, kind):
    as_vector, other = (CALLS[call](kinds.lenses[each], kinds.data[each]) for each in ("vector", kind))
    as_vector = as_vector.drop_vars(["effect_map_low", "effect_map_high"], errors="ignore")  # images have none
    other = other.drop_vars(["effect_map_low", "effect_map_high"], errors="ignore")
    assert set(as_vector.data_vars) == set(other.data_vars)
    if "manipulation" in other.dims:  # the output's units are channels: of the series one, of the others six
        as_vector, other = (each.isel(unit=each.site != "decoder.1") for each in (as_vector, other))
    for name, values in as_vector.data_vars.items():
        np.testing.assert_allclose(
            other[name].values.astype(float).ravel(), values.values.astype(float).ravel(), atol=1e-6, err_msg=name
        )


def test_metrics_are_the_same_whatever_the_shape(kinds):
    for measure in (vl.causal_effect_strength, vl.intervention_specificity, vl.circuit_modularity):
        values = [np.asarray(measure(kinds.lenses[kind], kinds.data[kind], progress=False)) for kind in SHAPES]
        for other in values[1:]:
            np.testing.assert_allclose(other, values[0], atol=1e-6)


def test_results_speak_of_the_data_in_its_own_words(x):
    network = Network().eval()
    cells = Observation.vector(NAMES, noun="cells", unit="log expression", groups={"first": NAMES[:2], "rest": [2, 5]})
    lens = vl.Lens(network, network.encode, network.decoder, example=x, observation=cells)
    effects = vl.latent_effects(lens, x, progress=False)
    assert effects.effect_map.dims == ("latent", "feature")
    assert effects.feature.values.tolist() == NAMES
    assert effects.ces.attrs["units"] == "L2 in log expression"
    assert effects.attrs["specificity_over"] == "values"
    grouped = vl.latent_effects(lens, x, over="groups", progress=False)
    for result in (effects, grouped, vl.patching_effects(lens, x[:12], x[12:], progress=False)):
        told = str([variable.attrs for variable in result.data_vars.values()]) + str(result.attrs)
        assert "pixel" not in told
        assert "image" not in told.replace("'images", "").replace("_images'", "")  # keys that count observations
    # Over two groups: |Δ| of each, the mean over its features.
    shares = effects.effect_map.values[:, :2].mean(axis=1), effects.effect_map.values[:, [2, 5]].mean(axis=1)
    p = np.stack(shares) / np.sum(shares, axis=0)
    np.testing.assert_allclose(grouped.specificity, 1 / (-(p * np.log(p)).sum(axis=0) + 1e-8), rtol=1e-5)


def test_series_and_volumes_run_through_convolutions_like_their_models():
    generator = torch.Generator().manual_seed(0)
    for convolution, transposed, shape in (
        (nn.Conv1d, nn.ConvTranspose1d, (2, 16)),
        (nn.Conv3d, nn.ConvTranspose3d, (1, 4, 8, 8)),
    ):
        torch.manual_seed(0)
        encoder = nn.Sequential(convolution(shape[0], 4, 4, 2, 1), nn.ReLU(), convolution(4, 2, 1))
        decoder = nn.Sequential(transposed(2, 4, 4, 2, 1), nn.ReLU(), convolution(4, shape[0], 1))
        model = nn.Sequential(encoder, decoder).eval()
        x = torch.randn(6, *shape, generator=generator)
        lens = vl.Lens(model, encoder, decoder, example=x)
        patched = vl.patching_effects(lens, x[:3], x[3:], sites=["latent", "decoder.0"], progress=False)
        boxes = vl.patching_effects(lens, x[:3], x[3:], sites=["latent"], unit=(2,) * (len(shape) - 1), progress=False)
        with torch.no_grad():
            base, source = encoder(x[:3]), encoder(x[3:])
            for unit in range(2):
                code = base.clone()
                code[:, unit] = source[:, unit]
                moved = (decoder(code) - decoder(base)).flatten(1).norm(dim=1).mean()
                assert float(patched.effect[unit]) == pytest.approx(float(moved), rel=1e-5)
            first = (slice(None), slice(None), *[slice(2)] * (len(shape) - 1))
            code = base.clone()
            code[first] = source[first]
            moved = (decoder(code) - decoder(base)).flatten(1).norm(dim=1).mean()
        assert float(boxes.effect[0]) == pytest.approx(float(moved), rel=1e-5)
        axes = ["row", "column"] if len(shape) == 2 else ["axis_0", "axis_1", "axis_2"]
        assert [name for name in axes if name in boxes.coords] == axes
        effects = vl.latent_effects(lens, x, progress=False)
        assert effects.effect_map.dims == ("latent", *Observation.of_shape(shape).axes)
        swept = vl.manipulation_effects(lens, vl.ArrayDataset(x, observation=lens.observation), n=6, progress=False)
        assert swept.manipulation.values.tolist() == ["mask", "shift", "noise"]


def test_a_tolerance_needs_a_range_and_stops_by_it(x):
    network = Network().eval()
    unbounded = vl.Lens(network, network.encode, network.decoder, example=x)
    with pytest.raises(vl.VaelensError, match="these vectors have no range; give the lens an observation= with low"):
        vl.latent_effects(unbounded, x, tolerance=0.1, progress=False)
    ranged = Observation.vector(FEATURES, low=-50, high=50)
    lens = vl.Lens(network, network.encode, network.decoder, example=x, observation=ranged)
    effects = vl.latent_effects(lens, x, tolerance=100.0, progress=False)
    assert effects.attrs["tolerance_reached"] == 1
    assert (effects.ces_high - effects.ces_low <= 200).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (torch.zeros(2, 7), r"vectors have shape \(7,\) each, this model takes \(6,\)"),
        (torch.zeros(6), r"vectors have shape \(6,\), expected \(n, 6\); add a batch axis with x\[None\]"),
        (torch.full((2, 6), torch.nan), "vectors contain NaN or infinite values; expected finite numbers"),
        ([[0.0] * 6], r"vectors are a list; give a tensor or array of shape \(n, 6\)$"),
    ],
)
def test_vectors_that_do_not_fit_are_refused(kinds, values, message):
    with pytest.raises(vl.VaelensError, match=message):
        kinds.lenses["vector"].encode(values)


def test_counts_are_taken_as_numbers(kinds):
    counts = torch.arange(12).reshape(2, 6)
    lens = kinds.lenses["vector"]
    assert torch.equal(lens.encode(counts), lens.encode(counts.float()))


def test_decoded_values_out_of_a_stated_range_are_told_at_once(x):
    network = Network().eval()
    narrow = Observation.vector(FEATURES, low=-10, high=-9)
    with pytest.warns(vl.VaelensWarning, match=r"and vectors are in \[-10, -9\]: effects in L2 would be of these"):
        vl.Lens(network, network.encode, network.decoder, example=torch.full((2, 6), -9.5), observation=narrow)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("set", {"strength": 5.0, "features": 1}, [[0.0, 5.0, 2.0], [3.0, 5.0, 5.0]]),
        ("shift", {"strength": -1.0, "features": [0, 2]}, [[-1.0, 1.0, 1.0], [2.0, 4.0, 4.0]]),
        ("permute", {"features": 2}, [[0.0, 1.0, 5.0], [3.0, 4.0, 2.0]]),
        ("permute", {}, [[3.0, 4.0, 5.0], [0.0, 1.0, 2.0]]),
    ],
)
def test_features_are_manipulated_by_hand(name, options, expected):
    x = torch.arange(6.0).reshape(2, 3)
    assert vl.manipulate(x, name, **options).tolist() == expected


def test_features_are_named_in_a_manipulation_of_a_group(x):
    network = Network().eval()
    cells = Observation.vector(NAMES, groups={"pair": NAMES[:2]})
    lens = vl.Lens(network, network.encode, network.decoder, example=x, observation=cells)
    ds = vl.ArrayDataset(x, observation=cells)
    effects = vl.manipulation_effects(lens, ds, n=24, progress=False)
    assert effects.manipulation.values.tolist() == ["permute pair"]
    pair = {"off": vl.Manipulation("set", 0.0, features=["gene 0", "gene 1"])}
    effects = vl.manipulation_effects(lens, ds, pair, n=24, progress=False)
    with torch.no_grad():
        off = x.clone()
        off[:, :2] = 0
        by_hand = (network.decoder(network.encode(off)[0]) - network.decoder(network.encode(x)[0])).norm(dim=1).mean()
    assert float(effects.output_effect[0]) == pytest.approx(float(by_hand), rel=1e-5)
    with pytest.raises(vl.VaelensError, match="unknown feature 'gene 9'; known: gene 0"):
        vl.manipulation_effects(lens, ds, {"off": vl.Manipulation("set", features="gene 9")}, progress=False)
    with pytest.raises(vl.VaelensError, match="unknown manipulation 'blur'; known: permute, set, shift, noise"):
        vl.manipulation_effects(lens, ds, "blur", progress=False)
    for effects in (vl.manipulation_effects, vl.input_effects, vl.factor_effects):
        with pytest.raises(vl.VaelensError, match="ds is a Tensor; expected a dataset, such as"):
            effects(lens, x, progress=False)


def test_series_are_masked_and_moved_by_hand():
    x = torch.arange(1.0, 9.0).reshape(1, 2, 4)
    series = Observation.series((2, 4))
    assert vl.manipulate(x, "shift", 0.25, observation=series)[0].tolist() == [
        [0.0, 1.0, 2.0, 3.0],
        [0.0, 5.0, 6.0, 7.0],
    ]
    masked = vl.manipulate(torch.ones(50, 2, 4), "mask", 0.5, observation=series)
    assert (masked.sum(dim=2) == 2).all()
    assert torch.equal(masked[:, 0], masked[:, 1])
    cube = vl.manipulate(torch.ones(20, 1, 4, 4, 4), "mask", 0.5)
    assert (cube.flatten(1).sum(dim=1) == 64 - 8).all()
