"""Discovery: what a circuit's record says, by hand arithmetic, by slow references and on planted models."""

import pickle

import numpy as np
import pytest
import torch
from scipy import stats

import vaelens as vl
from vaelens.circuits.circuit_runs import CircuitRuns, fractions
from vaelens.circuits.curve import SHARES, faithfulness_curves
from vaelens.circuits.discovery import unseen
from vaelens.circuits.estimate import Estimate, PairResamples
from vaelens.circuits.notes import held_out_notes
from vaelens.planted import KINDS


def nodes(units):
    return {(site, unit) for site, members in units.items() for unit in members}


def discovered(kind, factor="first", depth=2, convolutional=False, seed=0, **options):
    planted = vl.planted_model(kind, depth, convolutional, seed)
    return planted, vl.discover_circuit(planted.lens, planted.dataset, factor, progress=False, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_units_roles_and_edges_are_those_planted(kind):
    planted, circuit = discovered(kind, depth=3, convolutional=True, seed=6)
    truth = planted.truth
    sets = [dict(truth.circuits["first"]), *map(dict, truth.alternatives["first"])]
    assert circuit.units in sets
    assert len(circuit.alternatives) == len(sets) - 1
    assert all(other.units in sets for other in circuit.alternatives)
    assert float(circuit.faithfulness) == pytest.approx(1, abs=1e-5)
    searched, every = planted.dataset.pairs("first", 64, 0), planted.dataset.all_pairs("first")
    if len(unseen((searched.x, searched.x2), (every.x, every.x2))[0]):
        assert float(circuit.held_out) == pytest.approx(1, abs=1e-5)
    else:  # so few that all were searched
        assert np.isnan(circuit.held_out)
    if circuit.units == truth.circuits["first"]:
        assert set(circuit.graph.edges) == set(truth.edges["first"])
    role = {"redundant": "redundant", "backup": "backup"}.get(kind)
    assert {node for node, name in circuit.roles.items() if name == role} == set(truth.roles)
    if kind not in ("redundant", "backup"):
        assert not circuit.roles


def test_scores_of_a_rotation_by_hand():
    _, circuit = discovered("rotated", seed=1)
    # Without the latent that carries 0.36 of the effect 0.64 is left, and less without any other unit.
    assert float(circuit.minimality) == pytest.approx(0.36, abs=1e-5)
    assert float(circuit.completeness) == pytest.approx(0, abs=1e-5)
    losses = circuit.losses.query("site == 'latent'").loss
    assert sorted(losses) == pytest.approx([0.36, 0.64], abs=1e-5)
    assert float(circuit.losses.query("site == 'encoder.0'").loss.iloc[0]) == pytest.approx(1, abs=1e-5)
    assert circuit.random_faithfulness.shape == (100,)
    assert circuit.random_faithfulness.max() < 0.9
    weights = {
        (sender, receiver): data["weight"]
        for sender, receiver, data in circuit.graph.edges(data=True)
        if isinstance(sender, tuple) and sender[0] == "encoder.1" and receiver[0] == "latent"
    }
    assert sorted(weights.values()) == pytest.approx([1, 1], abs=1e-5)
    to_image = [data["weight"] for *_, data in circuit.graph.in_edges("image", data=True)]
    assert sum(to_image) == pytest.approx(1, abs=1e-5)


def test_completeness_is_what_the_rest_carries():
    """The backup way: with its units held, the main one still carries everything."""
    planted, _ = discovered("backup", seed=2)
    pairs = planted.dataset.pairs("first", 32)
    runs = CircuitRuns(planted.lens, pairs.x, pairs.x2)
    way = runs.table.mask(planted.truth.circuits["first"])
    upstream = np.zeros_like(way)
    upstream[: runs.table.span("decoder.0").start] = True
    ends = way & ~upstream  # the part of the circuit that the backup can replace
    assert fractions(runs.carried(~ends[None]), runs.totals)[0] == pytest.approx(1, abs=1e-5)
    assert fractions(runs.carried(~way[None]), runs.totals)[0] == pytest.approx(0, abs=1e-5)


def test_the_curve_and_its_areas_by_hand():
    """One factor of a chain: 6 of its 7 units by score carry nothing yet where one each of the pair is missing."""
    planted = vl.planted_model("chain", 2, seed=0)
    pairs = planted.dataset.pairs("first", 64)
    runs = CircuitRuns(planted.lens, pairs.x, pairs.x2)
    scores = np.zeros(len(runs.table))
    circuit = np.flatnonzero(runs.table.mask(planted.truth.circuits["first"]))
    scores[circuit] = np.arange(len(circuit), 0, -1)  # in the order of the data
    curve = faithfulness_curves(runs, scores, holds=["source"])
    sizes = curve.units.values
    units = len(runs.table)
    assert sizes.tolist() == [max(1, round(share * units)) for share in SHARES]
    first_sign = scores.argsort()[::-1][: len(circuit) - 1]
    half = np.zeros(units, dtype=bool)
    half[first_sign] = True
    without_one = fractions(runs.carried(half[None]), runs.totals)[0]
    expected = [0 if n < len(circuit) - 1 else without_one if n == len(circuit) - 1 else 1 for n in sizes]
    values = curve.faithfulness.sel(hold="source").values
    np.testing.assert_allclose(values, expected, atol=1e-5)
    shares, heights = [0, *SHARES], [0, *expected]
    area = sum((shares[k + 1] - shares[k]) * (heights[k] + heights[k + 1]) / 2 for k in range(len(SHARES)))
    assert float(curve.cpr.sel(hold="source")) == pytest.approx(area, abs=1e-5)
    assert float(curve.cmd.sel(hold="source")) == pytest.approx(1 - area, abs=1e-5)  # nowhere above 1


def test_curves_by_all_ways_to_hold_end_at_one():
    _, circuit = discovered("aligned", "second")
    assert circuit.curve.hold.values.tolist() == ["source", "zero", "mean", "resample"]
    np.testing.assert_allclose(circuit.curve.faithfulness.sel(share=1), 1, atol=1e-6)
    np.testing.assert_allclose(circuit.curve.faithfulness_chance.sel(share=1), 1, atol=1e-6)
    assert circuit.cpr == pytest.approx(float(circuit.curve.cpr[0]))
    assert circuit.cpr > float(circuit.curve.cpr_chance[0])
    assert circuit.cmd < float(circuit.curve.cmd_chance[0])


def test_intervals_cover_a_known_ratio():
    """Of 400 samples of 40 pairs, about 95 % of intervals hold the true ratio of means, 2."""
    rng = np.random.default_rng(0)
    covered = []
    for seed in range(400):
        totals = rng.uniform(0.5, 1.5, size=40)
        carried = 2 * totals + rng.normal(0, 0.5, size=40)
        estimate = PairResamples(totals, seed).fraction(carried)
        covered.append(estimate.low <= 2 <= estimate.high)
    low, high = stats.binom.interval(0.999, 400, 0.95)
    assert low <= sum(covered) <= high


def test_the_least_loss_by_hand():
    totals = np.ones(4)
    estimate = PairResamples(totals, 0).least_loss(np.full(4, 0.9), np.array([np.full(4, 0.2), np.full(4, 0.6)]))
    assert (float(estimate), estimate.low, estimate.high) == pytest.approx((0.3, 0.3, 0.3))


def test_estimates_survive_pickling():
    estimate = pickle.loads(pickle.dumps(Estimate(0.5, 0.4, 0.6)))
    assert (estimate, estimate.low, estimate.high) == (0.5, 0.4, 0.6)


def test_the_same_seed_finds_the_same_and_the_model_stays():
    planted = vl.planted_model("interaction", 2, seed=3)
    before = {name: tensor.clone() for name, tensor in planted.model.state_dict().items()}
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    first, again = (
        vl.discover_circuit(planted.lens, planted.dataset, "second", n=16, seed=9, progress=False) for _ in range(2)
    )
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in planted.model.state_dict().items())
    assert first.units == again.units
    assert first.curve.identical(again.curve)
    assert str(first) == str(again)
    assert "a circuit of 'second'" in str(first)


def test_progress_is_told():
    planted = vl.planted_model("chain", 2)
    told = []
    vl.discover_circuit(
        planted.lens, planted.dataset, "first", n=8, progress=lambda done, total: told.append((done, total))
    )
    assert told[-1] == (5, 5)
    assert told == sorted(told)


class Dark(vl.PlantedVAE):
    """A planted model whose image never changes."""

    def __init__(self):
        super().__init__("chain", 2)
        self.decoder[-2].weight.data.zero_()


def test_bad_input_is_refused_in_a_sentence():
    planted = vl.planted_model("chain", 2)
    lens, ds = planted.lens, planted.dataset
    with pytest.raises(vl.VaelensError, match=r"unknown factor 'frist'; known: first, second; did you mean 'first'\?"):
        vl.discover_circuit(lens, ds, "frist")
    with pytest.raises(vl.VaelensError, match=r"unknown scorer 'exakt'; .* did you mean 'exact'\?"):
        vl.discover_circuit(lens, ds, "first", scorer="exakt")
    for threshold in (0, 1.1, float("nan"), "0.9", True):
        with pytest.raises(vl.VaelensError, match="expected a number above 0 and at most 1: the whole model carries 1"):
            vl.discover_circuit(lens, ds, "first", threshold=threshold)
    with pytest.raises(vl.VaelensError, match="n is 1; expected a whole number of at least 2"):
        vl.discover_circuit(lens, ds, "first", n=1)
    with pytest.raises(vl.VaelensError, match="no image that this model returns depends on 'first'"):
        vl.discover_circuit(vl.Lens(Dark()), ds, "first", n=8, progress=False)
    with pytest.raises(vl.VaelensError, match="seed is -1"):
        vl.discover_circuit(lens, ds, "first", seed=-1)


def test_a_factor_that_changes_no_image_is_refused():
    images = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    shown = torch.cat([images, images])
    factors = np.stack([np.tile(np.arange(4), 2), np.repeat([0, 1], 4)], axis=1)
    ds = vl.ArrayDataset(shown, factors, ["shown", "hidden"])
    with pytest.raises(vl.VaelensError, match="depends on 'hidden'"):
        vl.discover_circuit(vl.planted_model("aligned", 2).lens, ds, "hidden", n=8, progress=False)
    named = vl.ArrayDataset(shown, factors, ["image", "hidden"])
    with pytest.raises(vl.VaelensError, match="graph ends at 'image', which is the name of this factor too"):
        vl.discover_circuit(vl.planted_model("aligned", 2).lens, named, "image", n=8, progress=False)


def test_a_quantised_latent_has_circuits_and_no_attribution():
    model = vl.build_model("vq-vae", (1, 16, 16), latent_dim=4, seed=0).eval()
    ds = vl.planted_model("aligned", 2).dataset
    lens = vl.Lens(model)
    with pytest.raises(vl.VaelensError, match="none pass a quantised latent; use scorer='exact'"):
        vl.discover_circuit(lens, ds, "first", scorer="attribution", n=4, progress=False)


def test_hooks_find_the_same():
    planted = vl.planted_model("rotated", 2, True, seed=1)
    by_hooks = vl.Lens(planted.model, execution="hooks")
    circuit = vl.discover_circuit(by_hooks, planted.dataset, "first", n=16, progress=False)
    assert circuit.units == planted.truth.circuits["first"]


def test_something_else_than_a_lens_and_a_dataset_is_refused():
    planted = vl.planted_model("chain", 2)
    with pytest.raises(
        vl.VaelensError, match=r"found with a Lens, got a PlantedVAE; wrap the model: vl\.Lens\(model\)"
    ):
        vl.discover_circuit(planted.model, planted.dataset, "first", progress=False)
    with pytest.raises(vl.VaelensError, match="needs a dataset with factors, got a Tensor; use"):
        vl.discover_circuit(planted.lens, planted.images, "first", progress=False)


def test_what_was_searched_is_not_held_out():
    base, source = torch.arange(4.0).view(4, 1, 1, 1), torch.arange(1.0, 5).view(4, 1, 1, 1)
    drawn = torch.cat([base[1:2], base[:1]]), torch.cat([source[1:2], source[3:]])
    kept = unseen((base, source), drawn)
    assert [float(x) for x in kept] == [0, 4]  # the second: its base was searched with another source


def test_where_every_pair_is_searched_none_is_held_out():
    images = torch.tensor([0.0, 0.5, 1.0])[:, None, None, None].expand(-1, 1, 16, 16)
    ds = vl.ArrayDataset(images, torch.arange(3)[:, None], ["brightness"])
    planted = vl.planted_model("aligned", 2)
    circuit = vl.discover_circuit(planted.lens, ds, "brightness", n=64, progress=False)
    assert np.isnan(circuit.held_out)
    assert any("there is none to hold out" in note for note in circuit.notes)


@pytest.mark.parametrize(("high", "notes"), [(0.89, 1), (0.91, 0)])
def test_it_is_said_where_a_circuit_does_not_hold_on_other_pairs(high, notes):
    said = held_out_notes(Estimate(0.9, 0.88, 0.92), Estimate(0.85, 0.8, high), 0.9, 64)
    assert len(said) == notes
    assert all("fitted to the 64 pairs" in note and "n=256" in note for note in said)


def test_sites_that_something_passes_by(pairs):
    lens, base, source = pairs
    skips = {"encoder.1", "decoder.1"} & set(lens.sites) if "Bypass" in type(lens.module).__name__ else set()
    assert set(CircuitRuns(lens, base, source).passed_by()) == skips
