"""What holds for the four levels on every architecture of the catalogue."""

import numpy as np
import pytest
import torch

import vaelens as vl
from vaelens.effects.ces_by_mode import ces_by_mode
from vaelens.models.catalogue import CATALOGUE

X, Y = torch.rand(2, 4, 1, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=CATALOGUE)
def lens(request, vq_vae):
    if CATALOGUE[request.param].quantised:
        return vl.Lens(vq_vae())
    return vl.Lens(vl.build_model(request.param, image_shape=(1, 16, 16), latent_dim=4))


@pytest.fixture(scope="module")
def dataset():
    rng = np.random.default_rng(0)
    factors = np.stack(np.meshgrid(np.arange(3), np.arange(4), indexing="ij"), axis=-1).reshape(-1, 2)
    return vl.ArrayDataset(rng.random((12, 1, 16, 16)).astype(np.float32), factors, names=["one", "two"])


def test_level_1(lens, dataset, intervals):
    effects = vl.input_effects(lens, dataset, n=6)
    units = sum(site.units for name, site in lens.sites.items() if name != "latent")
    assert dict(effects.sizes) == {"factor": 2, "latent": 4, "unit": units}
    assert ("codes_changed" in effects) == lens.quantised
    intervals(effects, "latent_effect", "unit_effect", "output_effect")


@pytest.mark.parametrize("mode", ["range", "shift", "posterior", "prior"])
def test_level_2(lens, mode, intervals):
    effects = vl.latent_effects(lens, X, mode=mode)
    assert effects.ces.dims == ("latent",)
    assert effects.effect_map.shape == (4, 1, 16, 16)
    assert (effects.ces >= 0).all()
    assert effects.active.dtype == bool
    intervals(effects, "effect", "ces", "ces_mean", "ces_posterior")
    if mode == "range":
        assert (ces_by_mode(lens, X).ces.sel(mode="range").values == effects.ces.values).all()
        assert vl.decoder_responses(lens, X).response.shape[0] == 4


def test_level_3(lens, intervals):
    effects = vl.patching_effects(lens, X, Y)
    assert list(dict.fromkeys(effects.site.values.tolist())) == [
        site for site in lens.sites if site != lens.sites.output
    ]
    assert effects.sizes["unit"] == sum(site.units for site in lens.sites.values()) - 1
    intervals(effects, "effect", "recovered")
    nothing = vl.patching_effects(lens, X, X)
    assert (nothing.effect == 0).all()
    path = vl.path_effects(lens, X, Y, "encoder.1", "latent")
    np.testing.assert_allclose(path.effect, effects.effect[effects.site == "latent"], rtol=1e-6)


def test_level_4(lens):
    for site in lens.sites:
        effects = vl.mediation_effects(lens, X, Y, site, units="all")
        assert float(effects.direct[0]) == 0, site
        assert float(effects.indirect[0]) == pytest.approx(1, rel=1e-12), site
    each = vl.mediation_effects(lens, X, Y, "latent")
    np.testing.assert_allclose(each.direct + each.indirect + each.interaction, 1, rtol=1e-9)
