"""What a run yields: each row that changes once and in order, and none that does not."""

import pytest
import torch

import vaelens as vl
from vaelens.lens import Region, Regions, SitePatch


def pairs(run, site, groups, source, kind="image"):
    batches = list(run.interchange(SitePatch(site, source, groups), kind))
    assert all(len(batch.rows) == len(batch.values[kind]) for batch in batches)
    return [pair for b in batches for pair in zip(b.rows.groups.tolist(), b.images.tolist(), strict=True)]


@pytest.mark.parametrize("execution", ["auto", "hooks", "torch.export"])
@pytest.mark.parametrize("together", [1, 2, 3, 100])
def test_rows_that_change_come_once_and_in_order(build, execution, together, monkeypatch):
    found = build("spatial", execution=execution)
    lens = found.lens
    run = lens.engine.cached_run(found.x, ["decoder.0"])
    monkeypatch.setattr(type(run), "_rows_together", lambda self, *given: together)
    present = run.activation("decoder.0")
    source = present.clone()
    source[0, 1, 2, 3] += 1  # one cell of one unit of one image
    source[3, 1] += 1
    source[4] -= 1
    units = [Region((k,)) for k in range(5)]
    expected = [(0, 4), (1, 0), (1, 3), (1, 4), (2, 4), (3, 4), (4, 4)]
    assert pairs(run, "decoder.0", units, source) == expected
    corner = Region((1,), (slice(0, 2), slice(0, 2)))
    cell = Region((1, 2), (slice(2, 3), slice(3, 4)))
    assert pairs(run, "decoder.0", [corner, cell], source) == [(0, 3), (0, 4), (1, 0), (1, 3), (1, 4)]
    both = Regions((corner, Region((0,))))
    assert pairs(run, "decoder.0", [cell, both], source) == [(0, 0), (0, 3), (0, 4), (1, 3), (1, 4)]


def test_nothing_comes_of_the_same_values(any_model):
    lens = any_model.lens
    sites = [site for site in lens.sites if site != lens.sites.output]
    run = lens.engine.cached_run(any_model.x, sites)
    for site in sites:
        groups = [Region((k,)) for k in range(lens.sites[site].units)]
        assert pairs(run, site, groups, run.activation(site).clone()) == []


def test_a_value_that_differs_in_the_last_bit_comes(build):
    found = build("double")
    run = found.lens.engine.cached_run(found.x, ["latent"])
    source = run.code.clone()
    source[2, 1] = torch.nextafter(source[2, 1], torch.tensor(9.0, dtype=torch.float64))
    assert pairs(run, "latent", [Region((k,)) for k in range(3)], source) == [(1, 2)]


def test_a_treatment_and_an_exchange_by_hand(linear):
    """With code A x + c and image W z + b, latent 0 set to 2 and latent 1 exchanged for 3."""
    made = linear(images=4)
    run = made.lens.engine.cached_run(made.x, ["latent"], [vl.Set("latent", 0, 2.0)])
    patch = SitePatch("latent", torch.full_like(run.code, 3.0), [Region((1,))])
    (rows,) = run.interchange(patch, "image")
    code = torch.as_tensor(made.z).clone()
    code[:, 0], code[:, 1] = 2, 3
    expected = code @ torch.as_tensor(made.w).T + torch.as_tensor(made.b)
    torch.testing.assert_close(rows.values["image"].flatten(1), expected)
