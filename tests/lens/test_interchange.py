"""Interchanges at several sites at once, to any target, against runs of the whole model under plain hooks."""

import pytest
import torch
from torch import nn

import vaelens as vl
from vaelens.lens import NOTHING, Region, SitePatch


def by_hooks(lens, images, patches, target):
    """The targets of every counterfactual, (groups, n, …), by `lens.run`, one group after the other."""
    outcomes = []
    for group in range(len(patches[0].groups)):
        edits = [
            vl.Patch(patch.site, patch.groups[group].units, patch.source, positions=patch.groups[group].positions)
            for patch in patches
            if patch.groups[group].units
        ]
        run = lens.run(images, edits, capture="all")
        values = {"code": run.code, "image": run.reconstruction, **run.activations}
        outcomes.append(values[target])
    return torch.stack(outcomes)


def by_engine(lens, images, patches, targets):
    """The same by one cached run; of rows that are not run again the cached run's own values."""
    run = lens.engine.cached_run(images, [patch.site for patch in patches], capture=list(lens.sites))
    groups = len(patches[0].groups)
    outcomes = {target: run.value(target)[None].repeat(groups, *[1] * run.value(target).ndim) for target in targets}
    for rows in run.interchange(patches, targets):
        for target in targets:
            outcomes[target][rows.rows.groups, rows.images] = rows.values[target].to(outcomes[target])
    return outcomes


def check(lens, images, patches, targets):
    outcomes = by_engine(lens, images, patches, targets)
    for target in targets:
        expected = by_hooks(lens, images, patches, target)
        share = 1e-12 if expected.dtype == torch.float64 else 1e-5
        error = float((outcomes[target] - expected).abs().max())
        assert error <= share * max(1e-3, float(expected.abs().max())), (target, error)


def rest(site, units):
    """All units of a site but some."""
    return Region(tuple(unit for unit in range(site.units) if unit not in units))


def test_circuit_runs_of_the_battery(any_model):
    """Source images go in; at every site all units but the circuit's are held at the base's values."""
    lens = any_model.lens
    base = lens.run(any_model.x, capture="all").activations
    sites = [site for site in lens.sites if site != lens.sites.output]
    circuits = [{0}, {0, 1}, set()]
    patches = [SitePatch(s, base[s], [rest(lens.sites[s], units) for units in circuits]) for s in sites]
    check(lens, any_model.y, patches, ["image", "code"])


@pytest.mark.parametrize("name", ["residual", "named blocks", "attention", "two heads", "quantised", "own"])
@pytest.mark.parametrize("execution", ["auto", "hooks", "torch.export"])
def test_later_sites_and_outcomes_of_several_patches(build, name, execution):
    model = build(name, execution=execution)
    lens = model.lens
    source = lens.run(model.y, capture="all").activations
    first, *_, last = [site for site in lens.sites if site != lens.sites.output]
    groups = [[Region((0,)), NOTHING, Region((0,))], [NOTHING, Region((1,)), Region((1,))]]
    patches = [SitePatch(site, source[site], group) for site, group in zip((first, last), groups, strict=True)]
    targets = list(lens.sites) if not lens.quantised else [site for site in lens.sites if site != "latent"]
    check(lens, model.x, patches, [*targets, "image", "code"])


class Skips(nn.Module):
    """An encoder and a decoder, each with a connection that passes a stage by."""

    def __init__(self):
        super().__init__()
        self.e1, self.e2, self.mean = nn.Conv2d(1, 4, 4, 2, 1), nn.Conv2d(4, 4, 3, 1, 1), nn.Linear(64, 3)
        self.d1, self.d2, self.d3 = nn.Linear(3, 64), nn.Conv2d(4, 4, 3, 1, 1), nn.ConvTranspose2d(8, 1, 4, 2, 1)

    def encode(self, x):
        h = torch.relu(self.e1(x))
        return self.mean((h + torch.relu(self.e2(h))).flatten(1))

    def decode(self, z):
        h = torch.relu(self.d1(z)).view(-1, 4, 4, 4)
        return torch.sigmoid(self.d3(torch.cat([h, torch.relu(self.d2(h))], dim=1)))


@pytest.mark.parametrize("execution", ["auto", "hooks"])
def test_a_net_with_skip_connections(execution):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, (x, y) = Skips(), torch.rand(2, 5, 1, 8, 8)
    lens = vl.Lens(model, model.encode, model.decode, example=x, execution=execution)
    assert list(lens.sites) == ["encoder.0", "encoder.1", "latent", "decoder.0", "decoder.1", "decoder.2"]
    base = lens.run(x, capture="all").activations
    sites = [site for site in lens.sites if site != lens.sites.output]
    circuits = [{0}, {1, 2}, {0, 1, 2, 3}]
    patches = [SitePatch(s, base[s], [rest(lens.sites[s], units) for units in circuits]) for s in sites]
    check(lens, y, patches, ["decoder.1", "decoder.2", "image", "code"])


def test_what_passes_a_held_site_by_hand(build):
    """With everything held at one site that all data passes, nothing changed before it reaches the image."""
    model = build("own")
    lens = model.lens
    own = lens.run(model.x, capture="all").activations
    source = lens.run(model.y, capture="all").activations
    every = Region(tuple(range(lens.sites["decoder.1"].units)))
    patches = [SitePatch("encoder.1", source["encoder.1"], [Region((0, 1, 2))])]
    held = [*patches, SitePatch("decoder.1", own["decoder.1"], [every])]
    moved, unmoved = (by_engine(lens, model.x, some, ["image"])["image"][0] for some in (patches, held))
    image = lens.reconstruct(model.x)
    assert float((moved - image).abs().max()) > 1e-4
    torch.testing.assert_close(unmoved, image)
