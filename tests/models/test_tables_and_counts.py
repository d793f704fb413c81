"""Likelihoods of counts and of tables against the densities of PyTorch and SciPy, and what models of them learn."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch

import vaelens as vl
from vaelens.models.columns import columns_negative_log_likelihood
from vaelens.models.counts import as_counts, log_normalised
from vaelens.models.likelihoods import LIKELIHOODS

COUNTS = ["negative-binomial", "zero-inflated-negative-binomial"]


@pytest.fixture(scope="module")
def drawn():
    """Counts with zeros, a decoder's output, log θ and the logits of zeros."""
    generator = torch.Generator().manual_seed(0)
    counts = torch.poisson(4 * torch.rand(6, 5, generator=generator, dtype=torch.float64), generator=generator)
    assert (counts == 0).any()
    output, dispersion, zeros = (torch.randn(n, 5, generator=generator, dtype=torch.float64) for n in (6, 1, 1))
    return counts, output, dispersion[0], zeros[0]


def test_the_negative_binomial_is_scipys(drawn):
    counts, output, log_dispersion, zero_logit = drawn
    mean = (counts.sum(dim=1, keepdim=True) * torch.softmax(output, dim=1)).numpy()
    theta, zero = log_dispersion.exp().numpy(), torch.sigmoid(zero_logit).numpy()
    probability = scipy.stats.nbinom.pmf(counts.numpy(), theta, theta / (theta + mean))
    found = LIKELIHOODS[COUNTS[0]].negative_log_likelihood(output, counts, log_dispersion)
    np.testing.assert_allclose(found, -np.log(probability).sum(axis=1), rtol=1e-10)
    inflated = zero * (counts.numpy() == 0) + (1 - zero) * probability
    found = LIKELIHOODS[COUNTS[1]].negative_log_likelihood(output, counts, log_dispersion, zero_logit)
    np.testing.assert_allclose(found, -np.log(inflated).sum(axis=1), rtol=1e-10)
    by_torch = torch.distributions.NegativeBinomial(
        log_dispersion.exp(), logits=torch.tensor(mean).log() - log_dispersion
    )
    expected = -by_torch.log_prob(counts).sum(dim=1)
    torch.testing.assert_close(LIKELIHOODS[COUNTS[0]].negative_log_likelihood(output, counts, log_dispersion), expected)


def test_many_counts_and_a_cell_of_none_have_a_finite_loss_and_gradient():
    counts = torch.tensor([[0.0, 0.0], [1e6, 0.0]])
    for name in COUNTS:
        mean = LIKELIHOODS[name].mean(vl.Observation.vector(2))
        output = torch.tensor([[0.0, 0.0], [-200.0, 200.0]], requires_grad=True)
        loss = LIKELIHOODS[name].negative_log_likelihood(output, counts, **LIKELIHOODS[name].parameters(mean))
        loss.sum().backward()
        assert torch.isfinite(loss).all()
        assert torch.isfinite(output.grad).all()


def test_columns_have_the_density_of_their_kind():
    generator = torch.Generator().manual_seed(0)
    one_hot = [(1, 2, 4), (5,)]
    classes = torch.randint(3, (7,), generator=generator)
    x = torch.randn(7, 6, generator=generator, dtype=torch.float64)
    x[:, [1, 2, 4]] = torch.nn.functional.one_hot(classes, 3).double()
    x[:, 5] = (x[:, 5] > 0).double()
    output, log_scale = torch.randn(7, 6, generator=generator, dtype=torch.float64), torch.tensor([-1.0, 0.7]).double()
    categorical = torch.distributions.Categorical(logits=output[:, [1, 2, 4]]).log_prob(classes)
    yes = torch.distributions.Bernoulli(logits=output[:, 5]).log_prob(x[:, 5])
    numbers = torch.distributions.Normal(output[:, [0, 3]], log_scale.exp()).log_prob(x[:, [0, 3]]).sum(dim=1)
    found = columns_negative_log_likelihood(output, x, log_scale, one_hot)
    torch.testing.assert_close(found, -(categorical + yes + numbers))
    line = LIKELIHOODS["categorical"]
    mean = line.mean(vl.Observation.vector(6, one_hot=one_hot)).double()(output)
    torch.testing.assert_close(mean[:, [1, 2, 4]], torch.softmax(output[:, [1, 2, 4]], dim=1))
    torch.testing.assert_close(mean[:, [0, 3]], output[:, [0, 3]])
    torch.testing.assert_close(mean[:, 5], torch.sigmoid(output[:, 5]))


@pytest.mark.parametrize("name", [*COUNTS, "categorical"])
def test_the_loss_is_found_again_from_what_is_decoded(name):
    """What a latent's removal costs is computed from the decoded mean: it is the ELBO's own loss."""
    kind = (
        vl.Observation.vector(5, unit="counts") if name in COUNTS else vl.Observation.vector(5, one_hot=[[1, 2], [4]])
    )
    model = vl.build_model("vae", kind, latent_dim=2, likelihood=name, seed=1).double()
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 9, (10, 5), generator=generator).double()
    if name == "categorical":
        x[:, 1], x[:, 4] = x[:, 1] % 2, x[:, 4] % 2
        x[:, 2] = 1 - x[:, 1]
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(1.5)
        effects = vl.latent_effects(vl.Lens(model), x, progress=False)
        z = model.encode(x)[0]
        gone = z.clone()
        gone[:, 1] = z[:, 1].mean()
        costs = [model.negative_log_likelihood(model.logits(codes), x).mean() for codes in (gone, z)]
    assert float(effects.removal_cost[1]) == pytest.approx(float(costs[0] - costs[1]), rel=1e-6)
    assert effects.attrs["likelihood"] == name


@pytest.fixture(scope="module")
def cells():
    return vl.load_dataset("cells", length=1500, programs=3, counts=True)


@pytest.fixture(scope="module")
def trained(cells):
    model = vl.build_model("vae", cells.observation, latent_dim=4)
    vl.train(model, cells, steps=400, progress=False)
    return model


def test_a_model_of_counts_finds_the_programs_of_cells(cells, trained):
    assert trained.likelihood == "negative-binomial"
    lens = vl.Lens(trained)
    assert (lens.observation.unit, lens.observation.noun) == ("log-normalised expression", "cells")
    x, programs = cells.sample(600, seed=1)
    codes = lens.representation(x)
    together = np.abs(np.corrcoef(codes.T, programs.T)[:4, 4:])
    by_chance = np.abs(np.corrcoef(codes.T, programs[np.random.default_rng(0).permutation(600)].T)[:4, 4:])
    assert (together.max(axis=0) > 0.5).all()
    assert by_chance.max() < 0.2
    # The latent that follows a program changes that program's genes more than others.
    effects = vl.latent_effects(lens, x[:100], progress=False)
    for program, latent in enumerate(together.argmax(axis=0)):
        change = effects.effect_map.values[latent]
        assert change[cells.program == program].mean() > 2 * change[cells.program == -1].mean()
    assert effects.ces.attrs["units"] == "L2 in log-normalised expression"


def test_a_model_of_counts_decodes_shares_that_no_library_changes(cells, trained, tmp_path):
    x = cells.images_at(range(20))
    expression = trained.decode(trained.encode(x)[0])
    torch.testing.assert_close(torch.expm1(expression).sum(dim=1), torch.full((20,), 1e4), rtol=1e-4, atol=0)
    lens = vl.Lens(trained, observation=cells.observation)  # of counts; results are still in what is decoded
    assert lens.observation.unit == "log-normalised expression"
    torch.testing.assert_close(lens.target(x), log_normalised(x))
    torch.testing.assert_close(log_normalised(as_counts(expression)), expression)
    # Encoded again, what was decoded is a cell of 10,000 counts: near where it came from.
    effects = vl.latent_effects(lens, x, mode="shift", over="latents", progress=False)
    z = lens.encode(x)
    again = trained.encode(torch.expm1(trained.decode(z)))[0]
    far = trained.encode(trained.decode(z))[0]  # taken for counts, expression lies elsewhere
    assert (again - z).norm() < 0.5 * (far - z).norm()
    assert np.isfinite(effects.specificity).all()
    trained.save_pretrained(tmp_path)
    loaded = vl.VAE.from_pretrained(tmp_path)
    assert loaded.observation == trained.observation
    assert torch.equal(loaded.decode(z), trained.decode(z))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (-1000.0, "counts are as low as -"),
        (0.5, "counts hold .*; expected whole numbers: give them as they were measured"),
    ],
)
def test_what_is_no_count_is_one_sentence(cells, trained, change, message):
    x = cells.images_at(range(64)).clone()
    x[0] += change
    with pytest.raises(vl.VaelensError, match=message):
        vl.Lens(trained).encode(x)
    with pytest.raises(vl.VaelensError, match=message):
        vl.train(vl.build_model("vae", cells.observation), x, steps=1, progress=False)


def test_a_table_is_learned_by_the_kind_of_its_columns():
    rng = np.random.default_rng(0)
    sort = rng.integers(3, size=600)
    frame = pd.DataFrame({"size": sort + rng.normal(0, 0.3, 600), "colour": np.array(["red", "blue", "green"])[sort]})
    frame.loc[::50, "size"] = None
    ds = vl.TableDataset(frame)
    assert ds.observation.one_hot == ((1,), (2, 3, 4))
    model = vl.build_model("vae", ds.observation, latent_dim=2)
    assert model.likelihood == "categorical"
    vl.train(model, ds, steps=400, progress=False)
    lens = vl.Lens(model)
    assert lens.observation.features == ds.observation.features
    x = ds.images_at(range(600))
    decoded = lens.reconstruct(x)
    torch.testing.assert_close(decoded[:, 2:].sum(dim=1), torch.ones(600))
    again = ds.frame_of(decoded)
    assert (again["colour"] == frame["colour"]).mean() > 0.95
    present = frame["size"].notna()
    assert np.corrcoef(again["size"][present], frame["size"][present])[0, 1] > 0.8


def test_likelihoods_that_do_not_fit_are_one_sentence():
    with pytest.raises(
        vl.VaelensError, match=r"needs to know which features are one-hot; give image_shape=ds\.observation"
    ):
        vl.build_model("vae", (4,), likelihood="categorical")
    for likelihood in COUNTS:
        with pytest.raises(vl.VaelensError, match=r"a likelihood of vectors, and the shape is \(1, 8, 8\)"):
            vl.build_model("vae", (1, 8, 8), likelihood=likelihood)
    for one_hot in ([[0, 0]], [[0], [0, 1]], [[]]):
        with pytest.raises(
            vl.VaelensError, match="expected the features of each categorical column, from 0 to 3, each once"
        ):
            vl.Observation.vector(4, one_hot=one_hot)
