"""What running again is held against: the same edit by forward hooks on the whole model."""

import pytest
import torch
from torch import nn

import vaelens as vl
from vaelens.lens import Region, SitePatch


def spread(units, most=12):
    """At most so many indices, spread over all of them."""
    return sorted({round(k) for k in torch.linspace(0, units - 1, min(units, most)).tolist()})


def outcomes_of(run, site, groups, source, kind):
    """The outcomes of every group and image, (groups, c, …): of skipped rows the run's own."""
    start = run.value(kind)
    found = start[None].repeat(len(groups), *[1] * start.ndim)
    for rows in run.interchange(SitePatch(site, source, groups), kind):
        found[rows.rows.groups, rows.images] = rows.values[kind].to(start)
    return found


def kinds_of(lens, site):
    return ("code", "image") if lens.sites[site].part == "encoder" else ("image",)


def close(found, expected, message=""):
    """To 1e-5 of the largest value, in float64 to 1e-12."""
    assert found.shape == expected.shape, message
    share = 1e-12 if expected.dtype == torch.float64 else 1e-5
    error = float((found - expected).abs().max())
    assert error <= share * float(expected.abs().max()), f"{message}: {error}"


def patched(lens, x, site, group, source, treatment=()):
    """The runs that exchanges are held against: whole, by hooks."""
    regions = [group] if isinstance(group, Region) else list(group.members)
    edits = [vl.Patch(site, one.units, source, positions=one.positions) for one in regions]
    run = lens.run(x, [*treatment, *edits])
    return {"code": run.code, "image": run.reconstruction}


def check_exchanges(lens, x, y, groups_of, sites=None, treatment=()):
    """That exchanges at every site but the output give what patches by hooks give."""
    sites = [site for site in sites or lens.sites if site != lens.sites.output]
    sources = lens.run(y, capture=sites).activations
    run = lens.engine.cached_run(x, sites, treatment)
    for site in sites:
        groups = groups_of(lens.sites[site])
        expected = [patched(lens, x, site, group, sources[site], treatment) for group in groups]
        for kind in kinds_of(lens, site):
            if not groups:
                continue
            found = outcomes_of(run, site, groups, sources[site], kind)
            close(found, torch.stack([one[kind] for one in expected]), f"{site}, {kind}")


def lens_of(encoder, decoder=None, **options):
    """The lens on an encoder of 1×4×4 images to three latents, and a linear decoder."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = nn.ModuleDict({"e": encoder(), "d": decoder() if decoder else nn.Linear(3, 16)})
    example = torch.rand(4, 1, 4, 4, generator=torch.Generator().manual_seed(2))
    return vl.Lens(model, model["e"], lambda z: model["d"](z).view(-1, 1, 4, 4), **({"example": example} | options))


@pytest.fixture
def exchanges():
    """Checks exchanges against patches by hooks."""
    return check_exchanges


@pytest.fixture
def units():
    """At most twelve indices, spread over all units."""
    return spread


@pytest.fixture
def every():
    """Outcomes of every group and image."""
    return outcomes_of


@pytest.fixture
def same():
    """Checks that two tensors are equal but for rounding."""
    return close


@pytest.fixture
def small_lens():
    """Builds a lens on an encoder of 1×4×4 images to three latents."""
    return lens_of


@pytest.fixture
def pictures():
    """Two batches of five 1×4×4 images."""
    return torch.rand(2, 5, 1, 4, 4, generator=torch.Generator().manual_seed(3))
