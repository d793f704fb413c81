import numpy as np
import pytest
import torch

import vaelens as vl
from vaelens.lens import other_images

DENSE, CONV = "decoder.0", "decoder.2"  # 256; 32×8×8


@pytest.fixture
def base(small):
    return small.lens.run(small.x, capture="all")


def others(values, units):
    return np.delete(np.asarray(values), units, axis=1)


VALUES = {
    "a number": lambda shape: 0.5,
    "an int": lambda shape: 2,
    "a NumPy number": lambda shape: np.float32(0.5),
    "a list for the units": lambda shape: [0.25, -0.5],
    "a row for the units": lambda shape: torch.tensor([0.25, -0.5]),
    "a column for the images": lambda shape: torch.arange(5.0)[:, None],
    "images and units": lambda shape: np.arange(10.0).reshape(5, 2),
    "one row for all images": lambda shape: torch.tensor([[1.0, 2.0]]),
    "the whole activation": lambda shape: torch.arange(10.0 * np.prod(shape[1:])).reshape(5, 2, *shape[1:]) / 100,
}


@pytest.mark.parametrize("site", [DENSE, CONV, "latent", "encoder.1"])
@pytest.mark.parametrize("kind", VALUES)
def test_values_of_every_shape_land_where_they_should(small, base, site, kind):
    units = [2, 0]  # the value's order is the order of the units given
    shape = small.lens.sites[site].shape
    value = VALUES[kind](shape)
    before = base.activations[site].numpy()
    full = np.asarray(value, dtype=np.float32)
    if full.ndim == 1:
        full = full[None]
    if full.ndim == 2:
        full = full.reshape(*full.shape, *[1] * (len(shape) - 1))
    full = np.broadcast_to(full, (5, 2, *shape[1:]))
    for edit, expected in (
        (vl.Set(site, units, value), full),
        (vl.Add(site, units, value), before[:, units] + full),
        (vl.Scale(site, units, value), before[:, units] * full),
    ):
        run = small.lens.run(small.x, edit, capture=site)
        after = run.activations[site].numpy()
        np.testing.assert_array_equal(after[:, units], expected)
        np.testing.assert_array_equal(others(after, units), others(before, units))
        change = np.linalg.norm((expected.astype(float) - before[:, units]).ravel())
        assert run.hits[0].change == pytest.approx(change, rel=1e-5)
        assert run.hits[0].hits == 1
        assert run.hits[0].intervention is edit


def test_a_change_that_is_known_on_paper(small, base):
    run = small.lens.run(small.x, [vl.Add("latent", [0, 1], [3.0, 4.0]), vl.Scale("latent", 2, 1.0)])
    assert [hit.change for hit in run.hits] == [pytest.approx(5 * np.sqrt(5), rel=1e-6), 0.0]


def test_zero_ablation_sets_nothing_but_its_units_to_zero(small, base):
    after = small.lens.run(small.x, vl.Ablate(CONV, [1, 30]), capture=CONV).activations[CONV]
    assert (after[:, [1, 30]] == 0).all()
    np.testing.assert_array_equal(others(after, [1, 30]), others(base.activations[CONV], [1, 30]))


def test_mean_ablation_sets_the_mean_image_by_image_and_position_by_position(small, base):
    after = small.lens.run(small.x, vl.Ablate(CONV, [1, 30], "mean"), capture=CONV).activations[CONV]
    expected = base.activations[CONV].double().mean(dim=0)[[1, 30]]
    for image in after:
        torch.testing.assert_close(image[[1, 30]].double(), expected, rtol=1e-5, atol=1e-7)


def test_resample_ablation_takes_the_values_of_another_image(small, base):
    before = base.activations[CONV]
    for seed in range(3):
        after = small.lens.run(small.x, vl.Ablate(CONV, [1, 30], "resample", seed), capture=CONV).activations[CONV]
        partner = other_images(5, seed)
        assert torch.equal(after[:, [1, 30]], before[partner][:, [1, 30]])
    narrow = vl.Lens(small.model, memory_mb=1e-6)
    single = narrow.run(small.x, vl.Ablate(CONV, [1, 30], "resample", 2), capture=CONV).activations[CONV]
    torch.testing.assert_close(single, after)


def test_ablations_of_a_sampled_run_take_their_values_from_the_same_sample(small):
    base = small.lens.run(small.x, capture="latent", sample=True, seed=4)
    after = small.lens.run(small.x, vl.Ablate("latent", 1, "resample", 2), capture="latent", sample=True, seed=4)
    assert torch.equal(after.code[:, 1], base.code[other_images(5, 2), 1])


def test_a_patch_takes_a_run_a_tensor_or_one_row_for_all(small):
    source = small.lens.run(small.y, capture=[CONV])
    values = source.activations[CONV]
    for given, expected in ((source, values), (values, values), (values[3:4], values[3:4].expand(5, -1, -1, -1))):
        run = small.lens.run(small.x, vl.Patch(CONV, [4, 1], given), capture=CONV)
        assert torch.equal(run.activations[CONV][:, [4, 1]], expected[:, [4, 1]])


def test_interventions_at_one_site_apply_in_the_order_given(small, base):
    z = base.code[:, 0]
    first = small.lens.run(small.x, [vl.Set("latent", 0, 2.0), vl.Add("latent", 0, 1.0), vl.Scale("latent", 0, 3.0)])
    assert (first.code[:, 0] == 9).all()
    second = small.lens.run(small.x, [vl.Scale("latent", 0, 3.0), vl.Add("latent", 0, 1.0)])
    assert torch.equal(second.code[:, 0], z * 3 + 1)
    assert [hit.hits for hit in first.hits] == [1, 1, 1]
    # Add 1 to 2 in 5 images: ‖Δ‖ = √5; 3 to 9: 6√5
    assert [hit.change for hit in first.hits[1:]] == [pytest.approx(5**0.5), pytest.approx(6 * 5**0.5)]


def test_interventions_at_several_sites_apply_in_the_order_of_the_data(small, base):
    edits = [vl.Scale("decoder.0", 3, 2.0), vl.Set("latent", 0, 1.5)]
    run = small.lens.run(small.x, edits, capture="all")
    alone = small.lens.run(small.x, edits[1], capture="all")
    assert torch.equal(run.activations["decoder.0"][:, 3], 2 * alone.activations["decoder.0"][:, 3])
    assert [hit.intervention for hit in run.hits] == edits


def test_a_single_intervention_and_any_iterable_are_taken(small):
    edit = vl.Set("latent", 0, 1.0)
    runs = [small.lens.run(small.x, given).reconstruction for given in (edit, [edit], (edit,), iter([edit]))]
    assert all(torch.equal(run, runs[0]) for run in runs)


def test_units_are_given_in_many_ways(small):
    lens = small.lens
    for same in ([0, 1, 2], "all", None, (0, 1, 2), range(3), np.arange(3), torch.arange(3)):
        assert (lens.run(small.x, vl.Set("latent", same, 1.0)).code == 1).all()
    for same in (1, [1], np.int64(1), torch.tensor(1)):
        assert torch.equal(
            lens.run(small.x, vl.Set("latent", same, 1.0)).code, lens.run(small.x, vl.Set("latent", 1, 1.0)).code
        )


@pytest.mark.parametrize(
    ("units", "message"),
    [
        (3, r"unit 3 of latent does not exist; its units are 0 to 2"),
        ([0, -1], r"unit -1 of latent does not exist; its units are 0 to 2"),
        ([0, 0], r"units at latent: \[0, 0\] names a unit twice; name each once"),
        ([], r"units at latent: \[\] given, expected an integer, a list of integers or 'all'; name at least one unit"),
        (0.0, r"units at latent: 0\.0 given, expected an integer"),
        (True, "units at latent: True given, expected an integer"),
        ("every", "units at latent: 'every' given, expected an integer, a list of integers or 'all'"),
        ([[0], [1]], r"units at latent: \[\[0\], \[1\]\] given, expected"),
        ([[0], [1, 2]], r"units at latent: \[\[0\], \[1, 2\]\] given, expected"),
    ],
)
def test_units_that_are_not_there_are_refused(small, units, message):
    for edit in (
        vl.Set("latent", units, 1.0),
        vl.Ablate("latent", units),
        vl.Patch("latent", units, torch.zeros(1, 3)),
    ):
        with pytest.raises(vl.VaelensError, match=message):
            small.lens.run(small.x, edit)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            torch.zeros(3),
            r"value at decoder\.2 has shape \(3,\); expected a number, \(2,\) one for each unit, \(5, 2\) ",
        ),
        (torch.zeros(4, 2), r"value at decoder\.2 has shape \(4, 2\); .*or \(5, 2, 8, 8\)"),
        (torch.zeros(5, 3), r"has shape \(5, 3\)"),
        (torch.zeros(5, 2, 8), r"has shape \(5, 2, 8\)"),
        (torch.zeros(5, 2, 8, 7), r"has shape \(5, 2, 8, 7\)"),
        (float("nan"), r"value at decoder\.2 is not finite; give finite numbers"),
        ([0.0, float("inf")], r"value at decoder\.2 is not finite"),
        ("much", r"value at decoder\.2 is 'much'; expected a number or an array of numbers"),
        (None, r"value at decoder\.2 is None; expected a number"),
        ([[1.0], [1.0, 2.0]], r"value at decoder\.2 is \[\[1\.0\], \[1\.0, 2\.0\]\]; expected a number"),
        (1j, r"value at decoder\.2 is complex; expected real numbers"),
    ],
)
def test_values_that_do_not_fit_are_refused_before_anything_runs(small, value, message):
    calls = []
    handle = small.model.encoder[0].register_forward_hook(lambda *_: calls.append(1))
    for kind in (vl.Set, vl.Add, vl.Scale):
        with pytest.raises(vl.VaelensError, match=message):
            small.lens.run(small.x, kind(CONV, [0, 1], value))
    handle.remove()
    assert calls == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            torch.zeros(5, 3, 1),
            r"Patch at latent: the source has shape \(5, 3, 1\), expected \(5, 3\): the whole site's",
        ),
        (torch.zeros(4, 3), r"the source has shape \(4, 3\), expected \(5, 3\)"),
        (torch.zeros(5, 1), r"the source has shape \(5, 1\), expected \(5, 3\)"),
        (torch.tensor(1.0), r"the source has shape \(\), expected \(5, 3\)"),
        (3.0, "source is a float, expected a Run that captured this site or the site's activation as a tensor"),
    ],
)
def test_a_patch_from_something_else_is_refused(small, source, message):
    with pytest.raises(vl.VaelensError, match=message):
        small.lens.run(small.x, vl.Patch("latent", 0, source))


def test_a_patch_from_a_run_that_did_not_capture_its_site_is_refused(small):
    with pytest.raises(
        vl.VaelensError, match=r"the source run captured decoder\.0; .*lens\.run\(x, capture=\['latent'"
    ):
        small.lens.run(small.x, vl.Patch("latent", 0, small.lens.run(small.y, capture=["decoder.0"])))
    with pytest.raises(vl.VaelensError, match=r"Patch at latent: the source run captured nothing; make it with"):
        small.lens.run(small.x, vl.Patch("latent", 0, small.lens.run(small.y)))


def test_a_patch_from_a_run_on_another_number_of_images_is_refused(small):
    with pytest.raises(vl.VaelensError, match=r"the source has shape \(2, 3\), expected \(5, 3\)"):
        small.lens.run(small.x, vl.Patch("latent", 0, small.lens.run(small.y[:2], capture=["latent"])))


def test_an_unknown_site_is_refused_with_the_nearest(small):
    with pytest.raises(vl.VaelensError, match=r"unknown site 'decoder\.11'; .*did you mean 'decoder\.1'"):
        small.lens.run(small.x, vl.Set("decoder.11", 0, 1.0))
    with pytest.raises(vl.VaelensError, match=r"unknown site 'laten'; .*did you mean 'latent'"):
        small.lens.run(small.x, capture=["laten"])


def test_an_unknown_ablation_is_refused_with_the_nearest():
    with pytest.raises(
        vl.VaelensError, match=r"unknown ablation method 'means'; known: zero, mean, resample; .*'mean'"
    ):
        vl.Ablate("latent", 0, "means")


def test_resampling_needs_another_image(small):
    with pytest.raises(vl.VaelensError, match="resample ablation at latent takes values from another image, but 1 was"):
        small.lens.run(small.x[:1], vl.Ablate("latent", 0, "resample"))


@pytest.mark.parametrize("wrong", ["latent", [3], {"latent": 0}, 5, None])
def test_what_is_no_intervention_is_refused(small, wrong):
    with pytest.raises(
        vl.VaelensError, match=r"is not an intervention; use vl\.Set, vl\.Add, vl\.Scale, vl\.Ablate or"
    ):
        small.lens.run(small.x, wrong)


def test_no_image_is_its_own_partner():
    for images in range(2, 12):
        for seed in range(5):
            partner = other_images(images, seed)
            assert sorted(partner) == list(range(images))
            assert (partner != np.arange(images)).all()
    np.testing.assert_array_equal(other_images(9, 3), other_images(9, 3))
    with pytest.raises(vl.VaelensError, match="values of another image are asked for, but 1 image was given"):
        other_images(1, 0)
    with pytest.raises(vl.VaelensError, match="seed is -1; expected a whole number, 0 or more"):
        other_images(3, -1)


def test_interventions_are_frozen():
    edit = vl.Set("latent", 0, 1.0)
    with pytest.raises(AttributeError, match="cannot assign"):
        edit.value = 2.0


def test_ablations_side_by_side_at_one_site_keep_to_their_methods(small):
    zero, mean = vl.Ablate("encoder.1", 0, "zero"), vl.Ablate("encoder.1", 1, "mean")
    own = small.lens.run(small.x, capture="encoder.1").activations["encoder.1"]
    both = small.lens.run(small.x, [zero, mean], capture="encoder.1").activations["encoder.1"]
    assert (both[:, 0] == 0).all()
    torch.testing.assert_close(both[:, 1], own[:, 1].mean(dim=0, keepdim=True).expand_as(both[:, 1]))
