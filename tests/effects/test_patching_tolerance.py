"""Sequential stopping of patching: each site takes the images that its effects need, and no more."""

import numpy as np
import pytest
import torch
from torch import nn

import vaelens as vl

SIDE, HIDDEN, LATENTS, UNITS = 4, 5, 3, 6
SITES = ["encoder.0", "latent", "decoder.0"]
COUNTS = {"encoder.0": HIDDEN, "latent": LATENTS, "decoder.0": UNITS}
EVERY = sum(COUNTS.values())


@pytest.fixture(scope="module")
def model():
    generator = torch.Generator().manual_seed(0)
    model = nn.ModuleDict(
        {
            "hidden": nn.Linear(SIDE * SIDE, HIDDEN),
            "code": nn.Linear(HIDDEN, LATENTS),
            "spread": nn.Linear(LATENTS, UNITS),
            "image": nn.Linear(UNITS, SIDE * SIDE),
        }
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / 3)
        model["image"].weight.mul_(3)  # effects of later sites are larger, and take more images
    return model


def lens_on(model, **options):
    return vl.Lens(
        model,
        lambda x: model["code"](model["hidden"](x.flatten(1))),
        lambda z: torch.sigmoid(model["image"](model["spread"](z))).view(-1, 1, SIDE, SIDE),
        torch.zeros(1, 1, SIDE, SIDE),
        **options,
    )


@pytest.fixture(scope="module")
def lens(model):
    """A small VAE whose images are in [0, 1]."""
    return lens_on(model)


def pictures(n, seed=0):
    return torch.rand(n, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def by_hand(model, x, y):
    """Each image's effects on the image at every site, (n, units) by site."""
    steps = [model["hidden"], model["code"], model["spread"], lambda s: torch.sigmoid(model["image"](s))]

    def images(values, first):
        for step in steps[first:]:
            values = step(values)
        return values

    found, here, there = {}, x.flatten(1), y.flatten(1)
    for k, site in enumerate(SITES):
        here, there = steps[k](here), steps[k](there)
        of_units = []
        for unit in range(COUNTS[site]):
            changed = here.clone()
            changed[:, unit] = there[:, unit]
            of_units.append((images(changed, k + 1) - images(here, k + 1)).norm(dim=1))
        found[site] = torch.stack(of_units, dim=1).numpy()
    return found


def patched(lens, x, y, **options):
    return vl.patching_effects(lens, x, y, outcome="image", progress=False, sites=SITES, **options)


def test_each_site_stops_as_soon_as_its_sequences_are_narrow_enough(lens, model):
    x, y = pictures(3000), pictures(3000, seed=1)
    effects = patched(lens, x, y, tolerance=0.1, seed=5)
    assert effects.attrs["tolerance_reached"] == 1
    assert (effects.attrs["images_given"], effects.attrs["tolerance"]) == (3000, 0.1)
    order = np.random.default_rng((5, 2)).permutation(3000)
    hand, used_by = by_hand(model, x, y), {}
    for site, found in effects.groupby("site"):
        used_by[site] = used = int(found.images_used[0])
        assert 64 < used < 3000
        assert (found.images_used == used).all()
        # Independently: a sequence given the same images' effects is still too wide 64 images before, and no more.
        sequence = vl.statistics.ConfidenceSequence((COUNTS[site],), (0, 4.0), 1 - 0.05 / EVERY)
        for batch in np.split(hand[site][order[:used]], used // 64):
            assert np.subtract(*sequence.interval()[::-1]).max() / 2 > 0.1
            sequence.update(batch)
        assert np.subtract(*sequence.interval()[::-1]).max() / 2 <= 0.1
        np.testing.assert_allclose([found.effect_low, found.effect_high], sequence.interval(), rtol=1e-4)
        np.testing.assert_allclose(found.effect, sequence.mean, rtol=1e-5)
    assert len(set(used_by.values())) > 1
    assert effects.attrs["images"] == max(used_by.values())


def test_what_it_measures_is_that_of_the_images_used(lens):
    x, y = pictures(900), pictures(900, seed=1)
    stopped = patched(lens, x, y, tolerance=0.15, seed=1)
    order = np.random.default_rng((1, 2)).permutation(900)
    for site, found in stopped.groupby("site"):
        used = order[: int(found.images_used[0])]
        alone = vl.patching_effects(lens, x[used], y[used], [site], outcome="image", seed=1, progress=False)
        for name in ("effect", "effect_chance", "recovered", "recovered_low", "recovered_high", "recovered_chance"):
            np.testing.assert_allclose(found[name], alone[name], rtol=1e-4, atol=1e-6, err_msg=f"{site}, {name}")


@pytest.mark.parametrize("method", ["patch", "zero", "mean"])
def test_too_few_images_are_all_used_and_give_the_usual_numbers(lens, method):
    x, y = pictures(150), pictures(150, seed=1)
    with pytest.warns(
        vl.VaelensWarning,
        match=r"tolerance 0.01 is not reached: all 150 images leave the effect of encoder.0, unit \d known to",
    ):
        asked = patched(lens, x, y, method=method, tolerance=0.01)
    usual = patched(lens, x, y, method=method)
    assert (asked.attrs["images"], asked.attrs["images_given"], asked.attrs["tolerance_reached"]) == (150, 150, 0)
    assert (asked.images_used == 150).all()
    for name in usual.data_vars:
        if not name.endswith(("_low", "_high")):
            np.testing.assert_allclose(asked[name], usual[name], rtol=1e-4, atol=1e-6, err_msg=name)
    assert (asked.effect_low < usual.effect).all()
    assert (asked.effect_high > usual.effect).all()
    assert not {"tolerance", "images_used"} & {*usual.attrs, *usual.data_vars}


def test_the_mean_over_all_images_is_covered(lens, model):
    x, y = pictures(4000), pictures(4000, seed=1)
    truth = np.concatenate([effects.mean(axis=0) for effects in by_hand(model, x, y).values()])
    for seed in range(5):
        effects = patched(lens, x, y, tolerance=0.4, seed=seed)
        assert (effects.effect_low.values <= truth).all()
        assert (truth <= effects.effect_high.values).all()


def test_sites_that_do_not_fit_into_memory_together_stop_as_those_that_do(lens, model, same):
    x, y = pictures(900), pictures(900, seed=1)
    narrow = lens_on(model, memory_mb=0.06)
    assert [len(group) for group in narrow.engine.site_groups(SITES)] == [2, 1]
    assert min(narrow.engine.rows_for([site]) for site in SITES) == 64  # as many as are looked at together
    same(patched(narrow, x, y, tolerance=0.15), patched(lens, x, y, tolerance=0.15))


def test_progress_ends_at_the_end(lens):
    seen, runs = [], 900 * EVERY
    x, y = pictures(900), pictures(900, seed=1)
    vl.patching_effects(
        lens, x, y, SITES, outcome="image", tolerance=0.4, progress=lambda done, total: seen.append((done, total))
    )
    assert seen[-1] == (runs, runs)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_effects_on_a_code_have_no_bound(lens):
    x, y = pictures(9), pictures(9, seed=1)
    with pytest.raises(vl.VaelensError, match=r"the outcome of encoder.0 is the code: give outcome='image'"):
        vl.patching_effects(lens, x, y, SITES, tolerance=0.4, progress=False)
    assert vl.patching_effects(lens, x, y, ["latent"], progress=False).attrs["images"] == 9


@pytest.mark.parametrize("tolerance", [0, -1.0, True, "small", float("nan")])
def test_a_tolerance_is_positive(lens, tolerance):
    with pytest.raises(vl.VaelensError, match=r"tolerance is .*; expected a positive number"):
        patched(lens, pictures(2), pictures(2), tolerance=tolerance)
