"""Circuit runs against runs of the whole model under plain hooks, for every site, and against laws."""

import numpy as np
import pytest
import torch

import vaelens as vl
from vaelens.circuits.circuit_runs import HOLDS, CircuitRuns, fractions


def held_at(lens, base, hold):
    """What units are held at, by the definition of each way, (n, units, *positions) by site."""
    activations = lens.run(base, capture="all").activations
    if hold == "zero":
        return {site: torch.zeros_like(values) for site, values in activations.items()}
    if hold == "mean":
        return {site: values.mean(dim=0, keepdim=True).expand_as(values) for site, values in activations.items()}
    if hold == "resample":
        partners = torch.as_tensor(vl.lens.other_images(len(base), 3))
        return {site: values[partners] for site, values in activations.items()}
    return activations


def reference(by_hooks, lens, base, source, hold, mask):
    """What a set carries of each pair, by hooks."""
    held = held_at(lens, base, hold)
    empty = by_hooks(lens, source, held, np.zeros_like(mask))
    total = (lens.reconstruct(source) - empty).flatten(1)
    carried = (by_hooks(lens, source, held, mask) - empty).flatten(1)
    return (carried * total).sum(dim=1).numpy(), (total * total).sum(dim=1).numpy()


@pytest.mark.parametrize("hold", HOLDS)
def test_sets_carry_what_hooks_say(pairs, by_hooks, masks, hold):
    lens, base, source = pairs
    runs = CircuitRuns(lens, base, source, hold, seed=3)
    sets = masks(len(runs.table))
    carried = runs.carried(sets)
    for mask, values in zip(sets, carried, strict=True):
        expected, totals = reference(by_hooks, lens, base, source, hold, mask)
        np.testing.assert_allclose(runs.totals, totals, rtol=1e-4)
        np.testing.assert_allclose(values / totals, expected / totals, atol=1e-4)


def test_images_of_circuit_runs_are_those_of_hooks(pairs, by_hooks, masks):
    lens, base, source = pairs
    runs = CircuitRuns(lens, base, source)
    for mask in masks(len(runs.table), seed=5):
        expected = by_hooks(lens, source, held_at(lens, base, "source"), mask)
        assert float((runs.images(mask) - expected).abs().max()) < 1e-5


def test_holding_each_unit_of_each_site_by_itself_is_as_under_hooks(pairs, by_hooks):
    """Every site: all of the model's units but one."""
    lens, base, source = pairs
    runs = CircuitRuns(lens, base, source)
    held = held_at(lens, base, "source")
    for _, span in runs.table.spans():
        mask = np.ones(len(runs.table), dtype=bool)
        mask[span.start] = False
        assert float((runs.images(mask) - by_hooks(lens, source, held, mask)).abs().max()) < 1e-5


def test_nothing_and_everything(pairs):
    lens, base, source = pairs
    runs = CircuitRuns(lens, base, source)
    sets = np.stack([np.zeros(len(runs.table), dtype=bool), np.ones(len(runs.table), dtype=bool)])
    nothing, everything = fractions(runs.carried(sets), runs.totals)
    assert nothing == pytest.approx(0, abs=1e-6)
    assert everything == 1
    total = (lens.reconstruct(source) - lens.reconstruct(base)).flatten(1)
    np.testing.assert_allclose(runs.totals, total.square().sum(dim=1), rtol=1e-4)


def test_a_whole_site_carries_all_where_nothing_passes_it_by():
    lens, base, source = standard_lens()
    runs = CircuitRuns(lens, base, source)
    for _, span in runs.table.spans():
        mask = np.ones(len(runs.table), dtype=bool)
        mask[span] = False
        assert fractions(runs.carried(mask[None]), runs.totals)[0] == pytest.approx(0, abs=1e-6)


def standard_lens():
    model = vl.build_model("vae", (1, 16, 16), latent_dim=3, seed=2).eval()
    images = torch.linspace(0, 1, 8 * 256).reshape(8, 1, 16, 16)
    return vl.Lens(model), images[:4], images[4:].flip(-1)


def test_leaving_out_each_unit_in_turn_is_running_the_smaller_sets(pairs, masks):
    lens, base, source = pairs
    runs = CircuitRuns(lens, base, source)
    for mask in masks(len(runs.table), seed=1)[1:3]:
        smaller = np.repeat(mask[None], mask.sum(), axis=0)
        smaller[np.arange(len(smaller)), np.flatnonzero(mask)] = False
        expected = runs.carried(smaller) / runs.totals
        np.testing.assert_allclose(runs.without_each(mask) / runs.totals, expected, atol=1e-4)
        tried = mask.copy()
        tried[np.flatnonzero(mask)[::2]] = False
        of_some = runs.without_each(mask, tried) / runs.totals
        np.testing.assert_allclose(of_some, expected[tried[mask]], atol=1e-4)


def test_units_patched_alone_recover_what_patching_effects_say(pairs):
    lens, base, source = pairs
    runs = CircuitRuns(lens, base, source)
    effects = vl.patching_effects(lens, base, source, outcome="image", progress=False)
    assert [*zip(effects.site.values.tolist(), effects["index"].values.tolist(), strict=True)] == runs.table.nodes()
    np.testing.assert_allclose(fractions(runs.patched(), runs.totals), effects.recovered, atol=1e-5)
    back = vl.patching_effects(lens, source, base, outcome="image", progress=False)
    np.testing.assert_allclose(fractions(runs.patched(into_source=True), runs.totals), back.recovered, atol=1e-5)


def test_what_a_site_and_its_rest_carry_adds_to_one_over_pairs_in_both_orders():
    """Exchange base and source, and one run becomes the other."""
    lens, base, source = standard_lens()
    both, swapped = torch.cat([base, source]), torch.cat([source, base])
    runs = CircuitRuns(lens, both, swapped)
    rng = np.random.default_rng(0)
    for _, span in runs.table.spans():
        part = np.ones(len(runs.table), dtype=bool)
        part[span] = rng.random(span.stop - span.start) < 0.5
        rest = np.ones(len(runs.table), dtype=bool)
        rest[span] = ~part[span]
        alone = CircuitRuns(lens, both, swapped)
        assert fractions(alone.carried(np.stack([part, rest])), alone.totals).sum() == pytest.approx(1, abs=1e-5)


def test_a_quantised_latent_runs_as_by_the_lens(masks):
    model = vl.build_model("vq-vae", (1, 16, 16), latent_dim=6, seed=0).eval()
    lens = vl.Lens(model)
    images = torch.rand(8, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    base, source = images[:4], images[4:]
    runs = CircuitRuns(lens, base, source)
    activations = lens.run(base, capture="all").activations
    for mask in masks(len(runs.table)):
        held = [vl.Patch(site, units, activations[site]) for site, units in runs.table.units(~mask).items() if units]
        expected = lens.run(source, held).reconstruction
        assert float((runs.images(mask) - expected).abs().max()) < 1e-5


def test_estimates_by_gradients_are_exact_where_all_is_linear(masks):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 7), torch.nn.Linear(7, 3))
        decoder = torch.nn.Sequential(torch.nn.Linear(3, 6), torch.nn.Linear(6, 5), torch.nn.Linear(5, 64))
        images = torch.rand(8, 1, 8, 8)
    model = torch.nn.ModuleDict({"e": encoder, "d": decoder})
    lens = vl.Lens(model, encoder, lambda z: decoder(z).view(-1, 1, 8, 8), example=images[:2])
    runs = CircuitRuns(lens, images[:4], images[4:])
    for mask in masks(len(runs.table), seed=2):
        exact = fractions(runs.without_each(mask), runs.totals)
        np.testing.assert_allclose(runs.estimated_without_each(mask), exact, atol=1e-4)
    assert all(weight.grad is None for weight in model.parameters())
