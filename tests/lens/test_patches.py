"""What an interchange refuses, and its values at several sites against plain forwards of the model."""

import numpy as np
import pytest
import torch
from torch import nn

import vaelens as vl
from vaelens.lens import NOTHING, Region, SitePatch


class Skipping(nn.Module):
    """A decoder of three layers whose first is read by the second and the last."""

    def __init__(self):
        super().__init__()
        self.e, self.m = nn.Linear(6, 5), nn.Linear(5, 3)
        self.d, self.w, self.o = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 6)

    def encode(self, x):
        return self.m(torch.relu(self.e(x)))

    def decode(self, z):
        h = torch.tanh(self.d(z))
        h += torch.tanh(self.w(h))
        return self.o(h)


@pytest.fixture(scope="module")
def made():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Skipping().double()
        x, y = torch.rand(2, 4, 6, dtype=torch.float64)
    return model, vl.Lens(model, model.encode, model.decode, example=x[:2]), x, y


def test_two_sites_beside_a_skip_connection(made):
    """Latent 0 from the source, and unit 2 of the branch held or not, by the model's own arithmetic."""
    model, lens, x, y = made
    assert list(lens.sites) == ["encoder.0", "latent", "decoder.0", "decoder.1", "decoder.2"]
    run = lens.engine.cached_run(x, ["latent", "decoder.1"])
    source = lens.engine.cached_run(y, capture=["latent"])
    held = SitePatch("decoder.1", run.activation("decoder.1"), [Region((2,)), NOTHING])
    patches = [SitePatch("latent", source.code, [Region((0,)), Region((0,))]), held]
    values = torch.full((2, 4, 6), torch.nan, dtype=torch.float64)
    for rows in run.interchange(patches, "image"):
        values[rows.rows.groups, rows.images] = rows.values["image"]
    with torch.no_grad():
        code = run.code.clone()
        code[:, 0] = source.code[:, 0]
        h = torch.tanh(model.d(code))
        branch = torch.tanh(model.w(h))
        free = model.o(h + branch)
        branch[:, 2] = run.activation("decoder.1")[:, 2]
        torch.testing.assert_close(values, torch.stack([model.o(h + branch), free]))


@pytest.mark.parametrize("units", [(1, 1), (-1,), [0], np.array([True, False])])
def test_a_region_has_different_units_from_0_on(units):
    with pytest.raises(vl.VaelensError, match=r"a region's units are .*; give a tuple of different indices from 0 on"):
        Region(units)


@pytest.mark.parametrize("positions", [(0, 1), (slice(-2, None),), (slice(None),)])
def test_a_region_has_slices_with_a_start(positions):
    with pytest.raises(vl.VaelensError, match=r"a region's positions are .*; give a slice"):
        Region((0,), positions)


def test_patches_that_do_not_fit_are_refused(made):
    _, lens, x, y = made
    run = lens.engine.cached_run(x, ["latent", "decoder.0"], capture=["decoder.1"])
    latent = SitePatch("latent", lens.encode(y), [Region((0,))])
    first = run.activation("decoder.0")
    for patches, message in (
        ([], "no patch was given"),
        ([latent, SitePatch("latent", lens.encode(y), [Region((1,))])], "two patches are of latent; give one"),
        ([latent, SitePatch("decoder.0", first, [NOTHING, NOTHING])], "has 2 groups and that of latent has 1"),
        (SitePatch("latent", lens.encode(y)[:1], [Region((0,))]), r"has shape \(1, 3\); expected .* \(4, 3\)"),
        (SitePatch("latent", lens.encode(y), [Region((3,))]), "has a unit that its site has not"),
        (SitePatch("decoder.1", first, [Region((0,))]), "can't be run again from decoder.1; name it in sites="),
        (SitePatch("decoder.9", first, [Region((0,))]), "unknown site 'decoder.9'"),
    ):
        with pytest.raises(vl.VaelensError, match=message):
            list(run.interchange(patches, "image"))
    with pytest.raises(vl.VaelensError, match=r"the activation at encoder.0 was not kept; name it in capture="):
        run.activation("encoder.0")


def test_a_confined_run_is_of_all_sites():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        lens = vl.Lens(vl.build_model("vae", image_shape=(1, 16, 16), latent_dim=3))
    sites = [site for site in lens.sites if site != lens.sites.output]
    free = dict.fromkeys(sites, (0,))
    x = torch.rand(2, 1, 16, 16)
    with pytest.raises(vl.VaelensError, match=r"lacks decoder.2; give it to engine.cached_run in sites="):
        lens.engine.cached_run(x, [site for site in sites if site != "decoder.2"]).confined(free)
    run = lens.engine.cached_run(x, sites)
    with pytest.raises(vl.VaelensError, match=r"lacks latent; give its free units, \(\) for none"):
        run.confined({site: units for site, units in free.items() if site != "latent"})
    with pytest.raises(vl.VaelensError, match=r"free units of latent: \[1, 1\] names a unit twice"):
        run.confined(free | {"latent": (1, 1)})
