"""Confined runs against the same interchange with all other units held, and where they can't be had."""

import pytest
import torch
from torch import nn
from torch.nn import functional

import vaelens as vl
from vaelens.lens import IMAGE, Region, SitePatch


class Dense(nn.Module):
    """A VAE of vectors whose functions are written as functions, one of them of all units together."""

    def __init__(self, mixes=False):
        super().__init__()
        self.e1, self.e2, self.mean = nn.Linear(6, 5), nn.Linear(5, 4), nn.Linear(4, 2)
        self.d1, self.d2 = nn.Linear(2, 5), nn.Linear(5, 6)
        self.mixes = mixes

    def encode(self, x):
        hidden = functional.silu(self.e2(functional.relu(self.e1(x))))
        return self.mean(hidden)

    def decode(self, z):
        hidden = self.d1(z)
        return self.d2(hidden.softmax(dim=1) if self.mixes else hidden.tanh())


def lens_of(kind, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if kind in ("vae", "vq-vae"):
            model = vl.build_model(kind, (1, 16, 16), latent_dim=3, seed=2).eval()
            return vl.Lens(model, **options), torch.rand(8, 1, 16, 16)
        model, x = Dense(mixes=kind == "mixing").eval(), torch.randn(8, 6)
        return vl.Lens(model, model.encode, model.decode, example=x[:3], **options), x


def halves(lens, sites):
    """Some of each site's units, none of one site."""
    free = {site: tuple(range(0, lens.sites[site].units, 2)) for site in sites}
    held = {site: tuple(range(1, lens.sites[site].units, 2)) for site in sites}
    return free, held


@pytest.mark.parametrize("often", [True, False])
@pytest.mark.parametrize("kind", ["vae", "vq-vae", "dense", "mixing"])
def test_what_is_free_comes_to_what_it_comes_to_with_the_rest_held(kind, often):
    lens, x = lens_of(kind)
    sites = [site for site in lens.sites if site != lens.sites.output]
    run, source = (lens.engine.cached_run(part, sites, capture=sites) for part in (x[:4], x[4:]))
    free, held = halves(lens, sites)
    confined = run.confined(free, often)
    for place, site in enumerate(sites):
        groups = [Region((unit,)) for unit in free[site]]
        later = [
            SitePatch(name, run.activation(name), [Region(held[name])] * len(groups)) for name in sites[place + 1 :]
        ]
        patch = SitePatch(site, source.activation(site), groups)
        expected = run.image[None].repeat(len(groups), *[1] * run.image.ndim)
        for rows in run.interchange([patch, *later], IMAGE):
            expected[rows.rows.groups, rows.images] = rows.values[IMAGE]
        images = run.image[None].repeat(len(groups), *[1] * run.image.ndim)
        for rows in confined.interchange(patch):
            images[rows.rows.groups, rows.images] = rows.values[IMAGE]
        torch.testing.assert_close(images, expected, atol=2e-6, rtol=1e-5)

        whole = SitePatch(site, source.activation(site), [Region(free[site])])
        expected = run.image.clone()
        for rows in run.interchange([whole, *(SitePatch(p.site, p.source, p.groups[:1]) for p in later)], IMAGE):
            expected[rows.images] = rows.values[IMAGE]
        images = confined.with_change(site, source.activation(site) - run.activation(site))
        torch.testing.assert_close(images, expected, atol=2e-6, rtol=1e-5)


def test_of_a_site_without_free_units_nothing_comes_through():
    lens, x = lens_of("vae")
    sites = [site for site in lens.sites if site != lens.sites.output]
    run, source = (lens.engine.cached_run(part, sites, capture=sites) for part in (x[:4], x[4:]))
    free, _ = halves(lens, sites)
    confined = run.confined(free | {"decoder.1": ()})
    assert torch.equal(
        confined.with_change("encoder.0", source.activation("encoder.0") - run.activation("encoder.0")), run.image
    )


def test_where_steps_are_not_known_there_is_none():
    lens, x = lens_of("vae", execution="hooks")
    sites = [site for site in lens.sites if site != lens.sites.output]
    assert lens.engine.cached_run(x, sites, capture=sites).confined(halves(lens, sites)[0]) is None
