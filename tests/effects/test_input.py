import itertools

import numpy as np
import pytest
import torch

import vaelens as vl
from vaelens.effects.manipulations import MANIPULATIONS

SHAPE = (1, 4, 4)


@pytest.fixture
def grid():
    """Images of every combination of two factors, each twice, without anything to tell how they look."""
    labels = np.array(list(itertools.product(range(3), range(2))) * 2)
    images = np.random.default_rng(0).random((3, 2, *SHAPE)).astype(np.float32)
    return vl.ArrayDataset(images[labels[:, 0], labels[:, 1]], labels, ["angle", "size"])


def by_hand(model, pairs):
    """Effects of each change on the code and the image, from the pairs of images."""
    codes = [[part.flatten(1).double().numpy() @ model.a.T + model.c for part in pair] for pair in pairs]
    spread = np.concatenate([z for pair in codes for z in pair]).std(axis=0)
    latent = np.array([np.abs(after - before).mean(axis=0) for before, after in codes]) / spread
    output = np.array([np.linalg.norm((after - before) @ model.w.T, axis=1).mean() for before, after in codes])
    return latent, output


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_effects_of_factors_on_a_linear_vae_are_those_of_the_formulas(linear, grid, provenance, intervals, dtype):
    model = linear(dtype=dtype)
    effects = vl.input_effects(model.lens, grid, n=9, seed=4)
    pairs = [(p.x, p.x2) for p in (grid.pairs(name, 9, seed=4) for name in ("angle", "size"))]
    latent, output = by_hand(model, pairs)
    np.testing.assert_allclose(effects.latent_effect, latent, rtol=1e-5)
    np.testing.assert_allclose(effects.output_effect, output, rtol=1e-5)
    # the decoder's only site is the output, one unit: its effect is the output's over the images' whole spread
    images = [part.flatten(1).double().numpy() @ model.a.T @ model.w.T for pair in pairs for part in pair]
    spread = np.sqrt(np.concatenate(images).var(axis=0).sum())
    np.testing.assert_allclose(effects.unit_effect[:, 0], output / spread, rtol=1e-5)
    assert effects.factor.values.tolist() == ["angle", "size"]
    assert effects.matched.values.tolist() == [9, 9]
    assert effects.latent_effect.dims == ("factor", "latent")
    assert effects.unit_effect.dims == ("factor", "unit")
    assert effects.output_effect.dims == ("factor",)
    assert effects.site.values.tolist() == ["decoder.0"]
    provenance(effects, seed=4, pairs=9, dataset="arrays")
    intervals(effects, "latent_effect", "unit_effect", "output_effect")
    np.testing.assert_allclose(effects.latent_effect_chance, np.repeat(latent.mean(1, keepdims=True), 3, 1), rtol=1e-5)
    np.testing.assert_allclose(effects.unit_effect_chance, effects.unit_effect)


def test_known_codes_give_known_effects(linear_of):
    # code = (first pixel, second pixel); one factor sets the first, the other the second; the image is the code again
    labels = np.array(list(itertools.product(range(2), range(3))))
    images = np.zeros((6, 1, 2, 2), dtype=np.float32)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = labels[:, 0], labels[:, 1] / 4
    lens = linear_of(np.eye(2, 4), np.eye(4, 2), shape=(1, 2, 2))
    ds = vl.ArrayDataset(images, labels, ["one", "two"])
    effects = vl.input_effects(lens, ds, n=40, seed=1)
    np.testing.assert_allclose(effects.output_effect[0], 1)  # from 0 to 1 or back
    assert 0.25 < float(effects.output_effect[1]) < 0.5
    assert effects.latent_effect[0, 1] == effects.latent_effect[1, 0] == 0
    assert (effects.latent_effect.values[[0, 1], [0, 1]] > 0).all()
    alone = vl.input_effects(lens, ds, factors="one", n=40, seed=1)
    p = ds.pairs("one", 40, seed=1)
    first = np.concatenate([p.x[:, 0, 0, 0], p.x2[:, 0, 0, 0]])
    assert float(alone.latent_effect[0, 0]) == pytest.approx(1 / first.std())


def test_a_unit_that_never_changes_has_no_effect(linear_of):
    images = np.random.default_rng(0).random((4, 1, 2, 2)).astype(np.float32)
    ds = vl.ArrayDataset(images, [[0], [1], [2], [3]])
    lens = linear_of(np.array([[1.0, 1, 1, 1], [0, 0, 0, 0]]), np.eye(4, 2), c=[0, 0.5], shape=(1, 2, 2))
    effects = vl.input_effects(lens, ds, n=6)
    assert effects.latent_effect[0, 1] == effects.latent_effect_high[0, 1] == 0
    assert effects.latent_effect[0, 0] > 0


def test_effects_on_the_units_of_a_vae_are_norms_over_positions():
    model = vl.build_model("vae", image_shape=(1, 8, 8), latent_dim=2)
    images = np.random.default_rng(0).random((6, 1, 8, 8)).astype(np.float32)
    ds = vl.ArrayDataset(images, [[0], [1], [2], [3], [4], [5]], ["only"])
    effects = vl.input_effects(vl.Lens(model), ds, n=7, seed=2)
    pair = ds.pairs("only", 7, seed=2)
    with torch.no_grad():
        before, after = (model.encoder[:2](part).double().flatten(2) for part in (pair.x, pair.x2))  # (n, units, p)
    spread = torch.cat([before, after]).var(dim=0, correction=0).sum(dim=1).sqrt()
    expected = ((after - before).norm(dim=2).mean(dim=0) / spread).nan_to_num(0)  # dead units never change
    np.testing.assert_allclose(effects.unit_effect[0, effects.site == "encoder.0"], expected, rtol=1e-4)
    assert "latent" not in effects.site.values


@pytest.mark.parametrize("manipulated", [False, True])
def test_effects_do_not_depend_on_chunks(linear, grid, same, manipulated):
    chosen = ["blur", "shift"] if manipulated else None
    same(
        *(
            vl.input_effects(linear(memory_mb=memory).lens, grid, n=9, seed=1, manipulations=chosen)
            for memory in (256, 1e-6)
        )
    )


def test_permuting_latents_permutes_the_effects(linear, linear_of, grid):
    model, order = linear(), [1, 2, 0]
    other = linear_of(model.a[order], model.w[:, order], model.c[order], model.b, shape=SHAPE)
    before, after = (vl.input_effects(lens, grid, n=5) for lens in (model.lens, other))
    np.testing.assert_allclose(after.latent_effect, before.latent_effect[:, order], rtol=1e-9)
    np.testing.assert_allclose(after.output_effect, before.output_effect, rtol=1e-9)


def test_factors_are_chosen_by_name_and_in_the_order_given(linear, grid):
    model = linear()
    assert vl.input_effects(model.lens, grid, factors="size", n=3).factor.values.tolist() == ["size"]
    both = vl.input_effects(model.lens, grid, factors=["size", "angle"], n=3)
    assert both.factor.values.tolist() == ["size", "angle"]


def test_pairs_without_an_exact_match_are_counted(linear):
    labels = np.array([[0, 0], [1, 1], [0, 2]])
    ds = vl.ArrayDataset(np.random.default_rng(0).random((3, *SHAPE)).astype(np.float32), labels, ["a", "b"])
    effects = vl.input_effects(linear().lens, ds, n=8, seed=3)
    expected = [int(ds.pairs(name, 8, seed=3).matched.sum()) for name in ("a", "b")]
    assert effects.matched.values.tolist() == expected
    assert expected[0] == 0


# Manipulations


def test_a_dataset_without_factors_is_manipulated(linear, provenance):
    model = linear()
    ds = vl.ArrayDataset(model.x)
    effects = vl.input_effects(model.lens, ds, n=5, seed=6)
    assert effects.manipulation.values.tolist() == list(MANIPULATIONS)
    assert effects.strength.values.tolist() == [default for _, default, _ in MANIPULATIONS.values()]
    assert "matched" not in effects
    x, _ = ds.sample(5, seed=6)
    latent, output = by_hand(model, [(x, vl.manipulate(x, name, seed=6)) for name in MANIPULATIONS])
    np.testing.assert_allclose(effects.latent_effect, latent, rtol=1e-5)
    np.testing.assert_allclose(effects.output_effect, output, rtol=1e-5)
    provenance(effects, seed=6, pairs=5, dataset="arrays")


def test_manipulations_are_chosen_by_name_and_strength(linear, grid):
    model = linear()
    for chosen, names, strengths in (
        ({"shift": 0.5, "noise": None}, ["shift", "noise"], [0.5, 0.2]),
        (["noise", "blur"], ["noise", "blur"], [0.2, 2.0]),
        ("rotate", ["rotate"], [15.0]),
    ):
        effects = vl.input_effects(model.lens, grid, n=4, manipulations=chosen)
        assert effects.manipulation.values.tolist() == names
        assert effects.strength.values.tolist() == strengths
    x, _ = grid.sample(4, seed=0)
    half = vl.input_effects(model.lens, grid, n=4, manipulations={"shift": 0.5})
    expected = by_hand(model, [(x, vl.manipulate(x, "shift", 0.5))])[1]
    np.testing.assert_allclose(half.output_effect, expected, rtol=1e-5)


# Errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"factors": "sise"}, r"unknown factor 'sise'.*did you mean 'size'"),
        ({"factors": ["size", "angel"]}, r"unknown factor 'angel'.*did you mean 'angle'"),
        ({"factors": []}, "no factor was named; name at least one, or leave the argument out"),
        ({"manipulations": []}, "no manipulation was named; name at least one, or leave the argument out"),
        ({"manipulations": {}}, "no manipulation was named"),
        ({"manipulations": ["blurs"]}, r"unknown manipulation 'blurs'; .*did you mean 'blur'"),
        ({"manipulations": {"noise": None, "blur": 99.0}}, r"the strength of 'blur' is 99\.0; expected above 0 and at"),
        ({"factors": "size", "manipulations": ["blur"]}, "factors and manipulations were both given; a call changes"),
        ({"n": 0}, "n is 0; expected a whole number of at least 1"),
        ({"n": 99, "manipulations": "blur"}, "arrays has 12 images, got n=99"),
        ({"seed": -1}, "seed"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_before_the_model_runs(linear, grid, arguments, message):
    model = linear()
    calls = []
    model.lens.module.register_forward_hook(lambda *_: calls.append(1))
    model.lens.module.encoder.register_forward_hook(lambda *_: calls.append(1))
    with pytest.raises(vl.VaelensError, match=message):
        vl.input_effects(model.lens, grid, **({"n": 4} | arguments))
    assert calls == []


def test_factors_of_a_dataset_without_any_are_refused(linear):
    model = linear()
    with pytest.raises(vl.VaelensError, match="arrays has no factors, so none can be changed; leave factors out"):
        vl.input_effects(model.lens, vl.ArrayDataset(model.x), factors=["size"])


def test_a_dataset_of_other_images_is_refused(linear):
    ds = vl.ArrayDataset(np.zeros((4, 1, 5, 5), dtype=np.float32), [[0], [1], [2], [3]])
    with pytest.raises(vl.VaelensError, match=r"images have shape \(1, 5, 5\) each, this model takes \(1, 4, 4\)"):
        vl.input_effects(linear().lens, ds, n=2)
