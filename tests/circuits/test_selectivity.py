"""Which factors move each unit, on planted models and by a slow reference."""

import numpy as np
import pytest
import torch

import vaelens as vl
from vaelens.planted import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_types_are_those_planted(kind):
    for depth, convolutional in ((2, False), (3, True)):
        planted = vl.planted_model(kind, depth, convolutional, seed=depth)
        units = vl.unit_selectivity(planted.lens, planted.dataset, n=128, progress=False)
        for site, types in planted.truth.unit_types.items():
            assert tuple(units.type.values[units.site.values == site]) == types


def test_effects_by_a_slow_reference():
    planted = vl.planted_model("rotated", 3, True, seed=2)
    lens, ds = planted.lens, planted.dataset
    units = vl.unit_selectivity(lens, ds, n=40, seed=5, progress=False)
    drawn = {name: ds.pairs(name, 40, 5) for name in ds.factors.names}
    every = torch.cat([images for pairs in drawn.values() for images in (pairs.x, pairs.x2)])
    for site in units.of_site.values.tolist():
        activation = lens.run(every, capture=[site]).activations[site].double()
        spread = (
            activation.flatten(2).var(dim=0, unbiased=False).mean(dim=1).sqrt()
            if activation.ndim > 2
            else (activation.var(dim=0, unbiased=False).sqrt())
        )
        for name, pairs in drawn.items():
            before, after = (
                lens.run(x, capture=[site]).activations[site].double().reshape(40, len(spread), -1)
                for x in (pairs.x, pairs.x2)
            )
            change = (after - before).square().mean(dim=2).sqrt().mean(dim=0)
            expected = torch.where(spread > 1e-5, change / spread, 0)
            measured = units.effect.values[units.site.values == site, ds.factors.index(name)]
            np.testing.assert_allclose(measured, expected, atol=1e-5)


def test_the_effective_number_of_factors_by_hand():
    planted = vl.planted_model("rotated", 2, seed=0)
    units = vl.unit_selectivity(planted.lens, planted.dataset, n=2000, progress=False)
    latent = units.isel(unit=units.site.values == "latent")
    # Two latents move by 0.8 and 0.6 of what two factors do: shares 4/7 and 3/7.
    shares = np.array([4, 3]) / 7
    two = float(np.exp(-(shares * np.log(shares)).sum()))
    assert sorted(latent.effective_factors.values) == pytest.approx([1, two, two], abs=0.01)
    assert (latent.effective_factors_low <= latent.effective_factors + 1e-9).all()
    assert np.isnan(units.effective_factors.values[units.type.values == "dead"]).all()


def test_scaling_a_unit_changes_no_verdict():
    planted = vl.planted_model("interaction", 2, seed=1)
    before = vl.unit_selectivity(planted.lens, planted.dataset, n=64, progress=False)
    encoder = planted.model.encoder
    scales = 10.0 ** torch.linspace(-3, 3, encoder.layer0.out_features)
    with torch.no_grad():
        encoder.layer0.weight.mul_(scales[:, None])
        encoder.layer0.bias.mul_(scales)
        encoder.layer1.weight.div_(scales)
    after = vl.unit_selectivity(vl.Lens(planted.model), planted.dataset, n=64, progress=False)
    assert after.type.values.tolist() == before.type.values.tolist()
    np.testing.assert_allclose(after.effect, before.effect, atol=1e-4)


def test_noise_alone_makes_no_unit_alive():
    """A factor that no image shows moves nothing, whatever else does."""
    planted = vl.planted_model("aligned", 2)
    images = planted.images[torch.arange(120)]
    rng = np.random.default_rng(0)
    ds = vl.ArrayDataset(
        images.repeat(2, 1, 1, 1), np.stack([np.tile(np.arange(120), 2), np.repeat([0, 1], 120)], 1), ["a", "b"]
    )
    units = vl.unit_selectivity(planted.lens, ds, n=64, seed=int(rng.integers(9)), progress=False)
    assert not units.moved.sel(factor="b").any()
    assert units.moved.sel(factor="a").any()


def test_bad_input_is_refused():
    planted = vl.planted_model("chain", 2)
    with pytest.raises(vl.VaelensError, match=r"level is 2\.0; expected a probability between 0 and 1"):
        vl.unit_selectivity(planted.lens, planted.dataset, level=2.0)
    with pytest.raises(vl.VaelensError, match="n is 1"):
        vl.unit_selectivity(planted.lens, planted.dataset, n=1)


def test_so_few_pairs_that_all_would_be_called_dead_are_refused():
    planted = vl.planted_model("aligned", 2, seed=0)
    with pytest.raises(
        vl.VaelensError, match=r"n is 6, and in \d+ tests .* so all would be called dead; give n="
    ) as told:
        vl.unit_selectivity(planted.lens, planted.dataset, n=6, progress=False)
    needed = int(str(told.value).split("give n=")[1].split()[0])
    assert vl.unit_selectivity(planted.lens, planted.dataset, n=needed, progress=False)["p"].min() < 0.05
    with pytest.raises(vl.VaelensError, match=f"give n={needed} or more"):
        vl.unit_selectivity(planted.lens, planted.dataset, n=needed - 1, progress=False)
    with pytest.raises(vl.VaelensError, match="no factor with several values"):
        vl.unit_selectivity(planted.lens, vl.ArrayDataset(planted.images))
