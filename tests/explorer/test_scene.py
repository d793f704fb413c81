"""What is shown, against arithmetic on linear models, one run at a time, and planted circuits."""

import numpy as np
import pytest
import torch

import vaelens as vl
from vaelens.explorer.scene import Scene
from vaelens.explorer.view import Edit, View


@pytest.fixture(scope="module")
def arithmetic():
    """A linear model, code = A x + c and image = W z + b, with six images as a dataset."""
    rng = np.random.default_rng(0)
    images = rng.random((6, 1, 4, 4)).astype(np.float32)
    a, w, c, b = (rng.normal(size=size).astype(np.float32).astype(float) for size in ((3, 16), (16, 3), (3,), (16,)))
    return vl.ArrayDataset(images), images.reshape(6, 16).astype(float), a, w, c, b


@pytest.fixture
def linear_scene(arithmetic, linear_of):
    ds, _, a, w, c, b = arithmetic
    return Scene(linear_of(a, w, c, b, shape=(1, 4, 4)), ds)


def close(tensor, expected):
    np.testing.assert_allclose(tensor.double().flatten().numpy(), np.ravel(expected), atol=1e-9)


def test_a_dragged_latent_is_set_and_the_image_encoded_again(linear_scene, arithmetic):
    _, x, a, w, c, b = arithmetic
    z, z2 = a @ x[2] + c, a @ x[5] + c
    moved = z.copy()
    moved[1] = 1.25
    shown = linear_scene.show(View("2", "5", {1: 1.25}))
    close(shown.image, w @ moved + b)
    close(shown.difference, w @ (moved - z))
    close(shown.base_code, z)
    close(shown.code, moved)
    close(shown.recoded, a @ (w @ moved + b).clip(0, 1) + c)
    change, total = w @ (moved - z), w @ (z2 - z)
    assert shown.changed == pytest.approx(np.linalg.norm(change))
    assert shown.way == pytest.approx(change @ total / (total @ total))
    assert shown.moved["latent"] == pytest.approx(abs(moved[1] - z[1]) / np.linalg.norm(z))


@pytest.mark.parametrize(
    ("edit", "value"),
    [
        (Edit("latent", (0, 2)), lambda z, z2, mean: z2),
        (Edit("latent", (0, 2), "zero"), lambda z, z2, mean: 0 * z),
        (Edit("latent", (0, 2), "mean"), lambda z, z2, mean: mean),
        (Edit("latent", (0, 2), "scale", -1.5), lambda z, z2, mean: -1.5 * z),
    ],
)
def test_units_take_what_they_are_set_to(linear_scene, arithmetic, edit, value):
    _, x, a, w, c, b = arithmetic
    codes = x @ a.T + c
    expected = codes[2].copy()
    expected[[0, 2]] = value(codes[2], codes[5], codes.mean(axis=0))[[0, 2]]
    close(linear_scene.show(View("2", "5", edits=(edit,))).image, w @ expected + b)


def test_a_set_alone_lets_only_its_units_see_the_source(linear_scene, arithmetic):
    _, x, a, w, c, b = arithmetic
    z, z2 = a @ x[2] + c, a @ x[5] + c
    view = View("2", "5", {0: 9.0}, alone="pins", pins=(("latent", 1),))  # the dragged latent is then not in force
    close(linear_scene.show(view).image, w @ np.array([z[0], z2[1], z[2]]) + b)


def test_what_each_unit_costs_is_a_column_of_the_decoder(linear_scene, arithmetic):
    _, x, a, w, c, _ = arithmetic
    z, z2 = a @ x[2] + c, a @ x[5] + c
    costs = linear_scene.unit_costs(View("2", "5", site="latent"))
    np.testing.assert_allclose(costs.change, np.abs(z2 - z) * np.linalg.norm(w, axis=0))
    assert costs.way.sum() == pytest.approx(1), "of a linear decoder the units' parts add up"
    scaled = linear_scene.unit_costs(View("2", "5", site="latent", how="scale", factor=3.0))
    np.testing.assert_allclose(scaled.change, np.abs(2 * z) * np.linalg.norm(w, axis=0))


@pytest.mark.parametrize("how", ["patch", "zero", "mean", "scale"])
def test_costs_are_those_of_one_edit_at_a_time(scene, how):
    for site in ("encoder.1", "latent", "decoder.1"):
        view = View("1", "8", site=site, how=how, factor=0.25)
        costs = scene.unit_costs(view)
        for unit in range(scene.lens.sites[site].units):
            alone = scene.show(View("1", "8", edits=(Edit(site, (unit,), how, 0.25),)))
            assert costs.change[unit] == pytest.approx(alone.changed, abs=1e-5)
            assert costs.way[unit] == pytest.approx(alone.way, abs=1e-5)


def test_a_whole_circuit_alone_carries_its_factor(scene, planted):
    factors = planted.dataset.factor_values(np.arange(len(planted.dataset)))
    base = 0
    source = next(
        k for k in range(len(factors)) if factors[k, 0] != factors[base, 0] and factors[k, 1] == factors[base, 1]
    )
    shown = scene.show(View(str(base), str(source), alone="circuit", circuit="first"))
    torch.testing.assert_close(shown.image, shown.source)
    assert shown.way == pytest.approx(1)


def test_nothing_in_force_changes_no_bit(scene):
    shown = scene.show(View("1", "8"))
    assert torch.equal(shown.image, shown.base)
    assert (shown.changed, shown.way, set(shown.moved.values())) == (0, 0, {0.0})


def test_base_and_source_alike_are_no_way_apart(scene):
    assert np.isnan(scene.show(View("1", "1", {0: 1.0})).way)
    assert np.isnan(scene.unit_costs(View("1", "1", site="latent")).way).all()


@pytest.mark.parametrize(
    ("view", "message"),
    [
        (View("10", "1"), "planted-redundant has images 0 to 9, not '10'"),
        (View("-1", "1"), "not '-1'"),
        (View("1", "1", {2: 0.0}), "latent 2 does not exist; the model has 0 to 1"),
        (View("1", "1", edits=(Edit("decoder.9", (1,)),)), "unknown site 'decoder.9'"),
        (View("1", "1", edits=(Edit("latent", (7,)),)), "latent has units 0 to 1, not 7"),
        (View("1", "1", pins=(("latent", 2),)), "latent has units 0 to 1, not 2"),
        (View("1", "1", site="nowhere"), "unknown site 'nowhere'"),
        (View("1", "1", circuit="third"), "unknown circuit 'third'"),
        (View("1", "1", alone="pins"), "no unit is pinned"),
        (View("1", "1", alone="circuit"), "no circuit is chosen"),
    ],
)
def test_a_view_of_another_model_is_refused_in_a_sentence(scene, view, message):
    with pytest.raises(vl.VaelensError, match=message):
        scene.show(view)


def test_what_there_is_nothing_to_see_of_is_refused(planted):
    with pytest.raises(vl.VaelensError, match="has 1 images; the explorer needs a base and a source"):
        Scene(planted.lens, vl.ArrayDataset(np.zeros((1, 1, 16, 16), np.float32)))
    with pytest.raises(vl.VaelensError, match=r"images have shape \(1, 8, 8\) each, this model takes \(1, 16, 16\)"):
        Scene(planted.lens, vl.ArrayDataset(np.zeros((3, 1, 8, 8), np.float32)))
