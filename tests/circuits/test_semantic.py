"""The semantic graph, on planted models under a reader that reads exactly, and its distances by hand."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

import vaelens as vl
from vaelens.circuits.graph_distance import edge_auroc, permuted_aurocs, structural_hamming_distance
from vaelens.data.factors import Factors


class Exact:
    """Reads each factor off its lattice: the level that is nearest."""

    def __init__(self, planted):
        ds = planted.dataset
        self.image_shape, self.factors = ds.image_shape, ds.factors.names
        self.accuracy = dict.fromkeys(self.factors, 1.0)
        values = ds.factor_values(np.arange(len(ds)))
        self._levels = [
            torch.tensor([ds.numbers[values[:, k] == level, k][0] for level in range(size)])
            for k, size in enumerate(ds.factors.sizes)
        ]
        self._pixels = [torch.as_tensor(ds._lattices == k) for k in range(len(self.factors))]

    def read(self, images):
        read = {}
        for name, levels, pixels in zip(self.factors, self._levels, self._pixels, strict=True):
            shown = 16 * (images[:, 0, pixels].mean(dim=1) - 0.5)
            nearest = (shown[:, None] - levels).abs().argmin(dim=1)
            read[name] = torch.nn.functional.one_hot(nearest, len(levels)).float()
        return read


def test_factors_with_latents_of_their_own_change_nothing_else():
    planted = vl.planted_model("aligned", 2, seed=1)
    result = vl.semantic_graph(planted.lens, planted.dataset, Exact(planted), n=100, progress=False)
    assert {name: tuple(planted.truth.circuits[name]["latent"]) for name in result.aligned} == result.aligned
    _, factors = planted.dataset.sample(100, 0)
    partners = torch.as_tensor(vl.lens.other_images(100, 0))
    changed = (factors != factors[partners]).float().mean(dim=0)
    np.testing.assert_allclose(result.weights.to_numpy(), np.diag(changed), atol=1e-6)
    assert not result.graph.edges
    assert result.distance == 0
    assert np.isnan(result.auroc)
    assert (result.interchange[["followed", "stayed"]] == 1).all(axis=None)
    assert result.interchange.images.tolist() == (factors != factors[partners]).sum(dim=0).tolist()


def test_factors_that_share_latents_change_each_other():
    planted = vl.planted_model("rotated", 2, seed=1)
    result = vl.semantic_graph(planted.lens, planted.dataset, Exact(planted), n=100, progress=False)
    assert set(result.graph.edges) == {("first", "second"), ("second", "first")}
    assert result.distance == 1  # one pair of factors whose edges differ from none
    assert result.interchange.loc["third", ["followed", "stayed"]].tolist() == [1, 1]
    assert result.interchange.loc["first", "stayed"] < 0.7
    edge = result.graph.edges["first", "second"]
    assert edge["low"] <= edge["weight"] <= edge["high"]


def test_of_a_factor_without_a_latent_of_its_own_nothing_is_exchanged():
    planted = vl.planted_model("superposed", 2, seed=1)  # three factors in two latents
    result = vl.semantic_graph(planted.lens, planted.dataset, Exact(planted), n=60, progress=False)
    (without,) = (name for name, latents in result.aligned.items() if not latents)
    assert result.interchange.loc[without, ["followed", "stayed"]].isna().all()
    assert (result.weights.loc[without] == 0).all()
    assert result.interchange.drop(without).notna().all(axis=None)


def test_the_weights_of_a_rotation_by_hand():
    """The latent 0.8 a + 0.6 b of another image makes a + 0.8 δ and b + 0.6 δ, δ its difference."""
    planted = vl.planted_model("rotated", 3, True, seed=4)
    result = vl.semantic_graph(planted.lens, planted.dataset, Exact(planted), n=80, seed=2, progress=False)
    _, factors = planted.dataset.sample(80, 2)
    a, b = (factors[:, k].double() - 2 for k in range(2))
    partners = torch.as_tensor(vl.lens.other_images(80, 2))
    change = (0.8 * a + 0.6 * b)[partners] - (0.8 * a + 0.6 * b)
    for name, numbers, share in (("first", a, 0.8), ("second", b, 0.6)):
        nearest = (numbers + share * change).round().clamp(-2, 2)
        expected = (nearest != numbers).double().mean()
        assert result.weights.loc["first", name] == pytest.approx(float(expected), abs=0.05)  # halves round either way


def test_distances_by_hand():
    true = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=bool)
    assert structural_hamming_distance(true, true) == 0
    assert structural_hamming_distance(np.zeros_like(true), true) == 2
    assert structural_hamming_distance(true.T, true) == 2
    weights = np.array([[9, 0.9, 0.2], [0.1, 9, 0.3], [0.4, 0.0, 9]])
    apart = ~np.eye(3, dtype=bool)
    # Of the eight pairs of an edge and none, only that of 0.3 and 0.4 is the wrong way round.
    assert edge_auroc(weights, true) == pytest.approx(7 / 8)
    assert edge_auroc(weights, true) == pytest.approx(roc_auc_score(true[apart], weights[apart]))
    assert np.isnan(edge_auroc(weights, np.zeros_like(true)))


def test_permutations_of_the_nodes():
    rng = np.random.default_rng(0)
    true = np.triu(np.ones((3, 3), dtype=bool), 1)
    areas = permuted_aurocs(rng.random((3, 3)), true, seed=0)
    assert len(areas) == 6
    assert areas.mean() == pytest.approx(0.5)  # an order and its reverse add to one
    assert permuted_aurocs(true.astype(float), true, 0).max() == 1


def test_a_causal_dataset_is_compared_with_its_graph():
    ds = vl.load_dataset("pendulum")
    model = vl.build_model("vae", ds.image_shape, latent_dim=4, seed=0).eval()

    class Brightness:
        image_shape, factors = ds.image_shape, ds.factors.names
        accuracy = dict.fromkeys(ds.factors.names, 1.0)

        def read(self, images):
            level = images.double().mean(dim=(1, 2, 3))[:, None]
            level = (level - level.mean()) / level.std()  # what an untrained model changes is little
            sizes = dict(zip(ds.factors.names, ds.factors.sizes, strict=True))
            return {name: torch.softmax(level * torch.arange(sizes[name]), dim=1).float() for name in self.factors}

    result = vl.semantic_graph(vl.Lens(model), ds, Brightness(), n=12, progress=False)
    assert 0 <= result.auroc <= 1
    assert 0 < result.p <= 1
    found = {frozenset(edge) for edge in result.graph.edges}
    true = {frozenset(edge) for edge in ds.factors.graph.edges}
    assert len(found ^ true) <= result.distance <= len(found | true)
    assert list(result.weights.columns) == list(ds.factors.names)


def test_bad_input_is_refused():
    planted = vl.planted_model("chain", 2)
    with pytest.raises(vl.VaelensError, match=r"make one with reader = vl\.factor_reader"):
        vl.semantic_graph(planted.lens, planted.dataset, "reader")
    with pytest.raises(vl.VaelensError, match="n is 1"):
        vl.semantic_graph(planted.lens, planted.dataset, Exact(planted), n=1)

    class One(Exact):
        def __init__(self, planted):
            super().__init__(planted)
            self.factors = self.factors[:1]

    constant = vl.build_model("vae", planted.dataset.image_shape, latent_dim=2)
    for weight in constant.decoder.parameters():
        weight.data.zero_()
    with pytest.raises(
        vl.VaelensError, match=r"no exchange of latents changes what is read .* as those of a collapsed"
    ):
        vl.semantic_graph(vl.Lens(constant), planted.dataset, Exact(planted), n=8, progress=False)
    with pytest.raises(vl.VaelensError, match="needs two factors of planted-chain"):
        vl.semantic_graph(planted.lens, planted.dataset, One(planted), n=8)


class Mechanisms(torch.nn.Module):
    """A VAE of rows of brightness whose latents have no cause: b = ¾ a + its own, c = ¾ (b + d) + its own."""

    def __init__(self):
        super().__init__()
        causes = torch.tensor([[0, 0, 0, 0], [0.75, 0, 0, 0], [0, 0.75, 0, 0.75], [0, 0, 0, 0]])
        self.own, self.whole = torch.nn.Linear(4, 4, bias=False), torch.nn.Linear(4, 4, bias=False)
        self.own.weight.data, self.whole.weight.data = torch.eye(4) - causes, torch.linalg.inv(torch.eye(4) - causes)

    def encode(self, x):
        return self.own(x[:, 0, :, 0])

    def decode(self, z):
        return self.whole(z)[:, None, :, None].expand(-1, 1, 4, 4)


class Rows:
    """Reads each factor off its row: the level that is nearest."""

    image_shape, factors, accuracy = (1, 4, 4), ("a", "b", "c", "d"), dict.fromkeys("abcd", 1.0)

    def read(self, images):
        levels = (2 * images[:, 0, :, 0]).round().clamp(0, 2).long()
        return {name: torch.nn.functional.one_hot(levels[:, row], 3).float() for row, name in enumerate(self.factors)}


@pytest.mark.parametrize("seed", [0, 1])
def test_the_graph_of_a_model_that_has_the_mechanisms_is_the_true_one(seed):
    values = torch.cartesian_prod(*[torch.arange(3)] * 4)
    ds = vl.ArrayDataset((values / 2)[:, None, :, None].expand(-1, 1, 4, 4), values, list("abcd"))
    edges = (("a", "b"), ("a", "c"), ("b", "c"), ("d", "c"))
    ds.factors = Factors(ds.factors.items, edges)
    model = Mechanisms().eval()
    lens = vl.Lens(model, model.encode, model.decode, example=ds.sample(3)[0])
    result = vl.semantic_graph(lens, ds, Rows(), n=300, seed=seed, progress=False)
    assert result.aligned == {name: (latent,) for latent, name in enumerate("abcd")}
    assert set(result.graph.edges) == set(edges)
    assert result.distance == 0
    assert result.auroc == 1
    assert result.p == pytest.approx(1 / 24)  # of the orders of four nodes no other leaves all edges true
    assert result.auroc_chance == pytest.approx(0.5)
