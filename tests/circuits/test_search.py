"""Searches on planted models: the units found are the units planted, whatever the kind, depth, layers and seed."""

import numpy as np
import pytest
import torch
import torch.utils.checkpoint

import vaelens as vl
from vaelens.circuits.circuit_runs import CircuitRuns, fractions
from vaelens.circuits.scorers import SCORERS
from vaelens.circuits.search import BY_SCORE, Search
from vaelens.planted import KINDS

# The deepest take most of the time: those kinds alone in which a search can go wrong.
PLANTED = [
    *((kind, 2, False) for kind in KINDS),
    *((kind, 3, True) for kind in KINDS),
    *((kind, 4, True) for kind in ("redundant", "interaction", "backup")),
]


def searched(planted, factor, scorer="exact", threshold=0.9, seed=0):
    pairs = planted.dataset.pairs(factor, 64, seed=seed)
    runs = CircuitRuns(planted.lens, pairs.x, pairs.x2)
    search = Search(runs, SCORERS[scorer](runs, seed), threshold)
    return search, [runs.table.units(mask) for mask in search.minimal_sets()], runs


def expected_sets(truth, factor):
    return [dict(truth.circuits[factor]), *map(dict, truth.alternatives[factor])]


@pytest.mark.parametrize(("kind", "depth", "convolutional"), PLANTED)
def test_sets_found_are_those_planted(kind, depth, convolutional):
    planted = vl.planted_model(kind, depth, convolutional, seed=depth)
    for factor in planted.truth.circuits:
        _, found, _ = searched(planted, factor)
        expected = expected_sets(planted.truth, factor)
        assert len(found) == len(expected)
        assert all(units in found for units in expected)
        if kind != "redundant":  # of which both sets are of one size
            assert found[0] == expected[0]


@pytest.mark.parametrize("scorer", ["attribution", "attribution-ig", "random"])
def test_any_scorer_leads_to_the_planted_set(scorer):
    """Pruning makes up for scores, at the cost of more runs."""
    for kind in ("rotated", "superposed", "distractor"):
        planted = vl.planted_model(kind, 2, seed=1)
        for factor in planted.truth.circuits:
            assert searched(planted, factor, scorer)[1] == expected_sets(planted.truth, factor)


def test_score_alone_is_misled_by_a_backup_and_the_search_is_not():
    for seed in range(3):
        planted = vl.planted_model("backup", 2, seed=seed)
        _, found, runs = searched(planted, "first")
        scores = dict(zip(runs.table.nodes(), SCORERS["exact"](runs, 0), strict=True))
        main = next(node for node in nodes(planted.truth.circuits["first"]) if node[0] == "decoder.0")
        assert scores[main] == pytest.approx(0, abs=1e-6)  # others make up for it, whichever way it is patched
        assert found[0] == planted.truth.circuits["first"]
        # Scores that put the larger way first.
        (larger,) = planted.truth.alternatives["first"]
        search = Search(runs, runs.table.mask(larger).astype(np.float64), 0.9)
        assert runs.table.units(search.minimal_sets()[0]) == planted.truth.circuits["first"]
        assert dict(search.ways)[BY_SCORE] == sum(map(len, larger.values()))


def nodes(units):
    return [(site, unit) for site, members in units.items() for unit in members]


def test_a_lower_threshold_takes_fewer_units():
    planted = vl.planted_model("rotated", 2, seed=0)
    # The latent that carries 0.64 suffices for half of the effect, and one of the two for the signs carries about half.
    _, found, runs = searched(planted, "first", threshold=0.6)
    assert len(found[0]["latent"]) == 1
    assert fractions(runs.carried(runs.table.mask(found[0])[None]), runs.totals)[0] >= 0.6 - 1e-6


def test_a_threshold_of_one_is_reached():
    planted = vl.planted_model("interaction", 2, seed=0)
    _, found, _ = searched(planted, "second", threshold=1.0)
    assert found == [planted.truth.circuits["second"]]


class And(torch.nn.Module):
    """A factor that passes by two units of which only both together do anything: max(0, left + right − 1)."""

    def __init__(self):
        super().__init__()
        read = torch.nn.Linear(4, 4)
        read.weight.data = torch.tensor([[1.0, 0, 0, 0], [0.0, 1, 0, 0], [1.0, 0, 0, 0], [0.0, 0, 0, 0]])
        code, out = torch.nn.Linear(4, 2), torch.nn.Linear(2, 4)
        read.bias.data.zero_()
        code.weight.data = torch.tensor([[1.0, 0, 0, 0], [0.0, 0, 1, 0]])
        code.bias.data.zero_()
        wide, both = torch.nn.Linear(2, 3), torch.nn.Linear(3, 2)
        wide.weight.data = torch.tensor([[1.0, 0], [0, 1.0], [0, 0]])
        wide.bias.data.zero_()
        both.weight.data = torch.tensor([[1.0, 1, 0], [0, 0, 0]])
        both.bias.data = torch.tensor([-1.0, 0.5])
        out.weight.data = torch.tensor([[0.5, 0], [0, 0], [0, 0], [0, 0]])
        out.bias.data = torch.tensor([0.25, 0.25, 0.25, 0.25])
        self.encoder = torch.nn.Sequential(torch.nn.Flatten(), read, torch.nn.ReLU(), code)
        self.decoder = torch.nn.Sequential(wide, torch.nn.ReLU(), both, torch.nn.ReLU(), out)

    def encode(self, x):
        return self.encoder(x)

    def decode(self, z):
        return self.decoder(z).view(-1, 1, 2, 2)


def test_units_that_act_only_together_are_found_though_each_alone_does_nothing():
    model = And()
    off, on = torch.zeros(1, 1, 2, 2), torch.tensor([1.0, 0, 0, 0]).view(1, 1, 2, 2)
    lens = vl.Lens(model, model.encode, model.decode, example=on)
    runs = CircuitRuns(lens, off, on)
    into_base = fractions(runs.patched(), runs.totals)
    assert into_base[runs.table.span("latent")].tolist() == [0, 0]
    search = Search(runs, SCORERS["exact"](runs, 0), 0.9)
    units = {"encoder.0": (0, 2), "latent": (0, 1), "decoder.0": (0, 1), "decoder.1": (0,)}
    assert [runs.table.units(mask) for mask in search.minimal_sets()] == [units]


def test_scores_of_fast_scorers_on_a_linear_path():
    """Where all is linear, gradient times difference is what patching measures."""
    planted = vl.planted_model("rotated", 3, True, seed=2)
    pairs = planted.dataset.pairs("second", 64)
    runs = CircuitRuns(planted.lens, pairs.x, pairs.x2)
    exact, fast = (SCORERS[name](runs, 0) for name in ("exact", "attribution-ig"))
    before_last = slice(0, runs.table.span("decoder.2").start)  # the last hidden site has units for each sign
    np.testing.assert_allclose(fast[before_last].sum(), exact[before_last].sum(), rtol=0.2)
    assert np.corrcoef(fast, exact)[0, 1] > 0.95
    latent = runs.table.span("latent")
    assert sorted(exact[latent].round(5)) == pytest.approx([0, 0.36, 0.64], abs=1e-5)


def test_attribution_is_autograd_by_hand():
    """Against torch.autograd through the model's own modules, for the latent and the decoder's first site."""
    model = vl.build_model("vae", (1, 16, 16), latent_dim=3, seed=0).eval()
    generator = torch.Generator().manual_seed(0)
    base, source = torch.rand(2, 5, 1, 16, 16, generator=generator)
    lens = vl.Lens(model)
    runs = CircuitRuns(lens, base, source)
    direction = lens.reconstruct(source) - lens.reconstruct(base)
    code = model.encode(base)[0].detach().requires_grad_()
    first = model.decoder[1](model.decoder[0](code))
    first.retain_grad()
    image = model.mean(model.decoder[2:](first))
    (image * direction).sum().backward()
    with torch.no_grad():
        moved = model.encode(source)[0]
        ahead = model.decoder[1](model.decoder[0](moved))
    total = float(direction.square().sum())
    scores = SCORERS["attribution"](runs, 0)
    by_latent = (code.grad * (moved - code.detach())).sum(dim=0) / total
    by_unit = (first.grad * (ahead - first.detach())).sum(dim=0) / total
    np.testing.assert_allclose(scores[runs.table.span("latent")], by_latent, atol=1e-5)
    np.testing.assert_allclose(scores[runs.table.span("decoder.0")], by_unit, atol=1e-5)


def test_attribution_leaves_the_weights_without_gradients():
    planted = vl.planted_model("chain", 2)
    pairs = planted.dataset.pairs("first", 8)
    SCORERS["attribution"](CircuitRuns(planted.lens, pairs.x, pairs.x2), 0)
    assert all(weight.grad is None for weight in planted.model.parameters())


@pytest.mark.parametrize("in_place", [lambda relu, h: relu(h), lambda relu, h: torch.relu_(h), lambda _, h: h.relu_()])
def test_attribution_through_nonlinearities_that_write_over_their_argument(in_place):
    class Model(torch.nn.Module):
        def __init__(self, nonlinearity):
            super().__init__()
            self.encoder, self.first, self.out = torch.nn.Linear(4, 2), torch.nn.Linear(2, 5), torch.nn.Linear(5, 4)
            self.relu, self.nonlinearity = torch.nn.ReLU(inplace=True), nonlinearity

        def decode(self, z):
            return self.out(self.nonlinearity(self.relu, self.first(z)))

    def scores(nonlinearity):
        torch.manual_seed(0)
        model = Model(nonlinearity)
        lens = vl.Lens(model, model.encoder, model.decode, example=torch.zeros(2, 4))
        base, source = torch.randn(2, 6, 4)
        return SCORERS["attribution"](CircuitRuns(lens, base, source), 0)

    np.testing.assert_allclose(scores(in_place), scores(lambda _, h: torch.relu(h)), rtol=1e-6)


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize(
    ("encode", "decode", "part"),
    [
        (torch.no_grad(), None, "encode"),
        (None, torch.no_grad(), "decode"),
        (None, torch.inference_mode(), "decode"),
        (None, lambda decode: lambda z: decode(torch.distributions.Normal(z, 0.1).sample()), "decode"),
        (None, lambda decode: lambda z: torch.utils.checkpoint.checkpoint(decode, z, use_reentrant=True), "a part"),
    ],
    ids=["encode without", "decode without", "inference", "sample", "reentrant"],
)
def test_attribution_is_refused_where_no_gradient_passes(encode, decode, part):
    model = torch.nn.ModuleDict(
        {
            "e": torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.ReLU(), torch.nn.Linear(5, 2)),
            "d": torch.nn.Sequential(torch.nn.Linear(2, 5), torch.nn.ReLU(), torch.nn.Linear(5, 4)),
        }
    )
    parts = [
        wrap(model[name].forward) if wrap else model[name].forward for wrap, name in ((encode, "e"), (decode, "d"))
    ]
    lens = vl.Lens(model, *parts, example=torch.zeros(2, 4))
    base, source = torch.randn(2, 6, 4)
    with pytest.raises(vl.VaelensError, match=f"none pass {part} of this model.*use scorer='exact'"):
        SCORERS["attribution"](CircuitRuns(lens, base, source), 0)


class Few(torch.nn.Module):
    """A VAE of ten units with weights as they are drawn."""

    def __init__(self, seed):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            layers = (torch.nn.Linear(*sizes) for sizes in ((4, 4), (4, 2), (2, 4), (4, 4)))
            self.e, self.mean, self.d, self.out = layers

    def encode(self, x):
        return self.mean(torch.relu(self.e(x.flatten(1))))

    def decode(self, z):
        return 0.5 + 0.1 * self.out(torch.relu(self.d(z))).view(-1, 1, 2, 2)


@pytest.mark.parametrize(("seed", "row"), [(1, 1), (3, 0), (4, 0)])
def test_of_ten_units_all_smallest_sets_are_found(seed, row):
    """Of these three, adding, pruning and exchange alone end at a larger set."""
    grid = torch.cartesian_prod(torch.arange(3), torch.arange(3))
    images = (grid / 2)[:, None, :, None].expand(-1, 1, 2, 2)
    base, other = (torch.as_tensor(k) for k in np.random.default_rng(seed).integers(0, [[9], [3]], (2, 16)))
    changed = grid[base].clone()
    changed[:, row] = (changed[:, row] + 1 + other % 2) % 3
    model = Few(seed).eval()
    lens = vl.Lens(model, model.encode, model.decode, example=images[:3])
    runs = CircuitRuns(lens, images[base], images[changed[:, 0] * 3 + changed[:, 1]])
    found = Search(runs, SCORERS["exact"](runs, 0), 0.9).minimal_sets()
    every = (np.arange(2**10)[:, None] >> np.arange(10) & 1).astype(bool)
    enough = every[fractions(runs.carried(every), runs.totals) >= 0.9]
    smallest = enough[enough.sum(axis=1) == enough.sum(axis=1).min()]
    found_smallest = {mask.tobytes() for mask in found if mask.sum() == smallest[0].sum()}
    assert found_smallest == {mask.tobytes() for mask in smallest}
