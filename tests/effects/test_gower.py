"""Gower's distance on tables: by hand, beside each number, and in every effect on what comes out."""

import numpy as np
import pytest
import torch
from torch import nn

import vaelens as vl
from vaelens.effects.outcomes import sizes
from vaelens.effects.reference_distance import reference_distance

# A number from 0 to 10, one without a range, three classes, a yes or no.
TABLE = vl.Observation.vector(
    ["age", "constant", "red", "blue", "green", "ill"], one_hot=[["red", "blue", "green"], ["ill"]], noun="rows"
)
ROWS = torch.tensor([[0.0, 7, 1, 0, 0, 1], [10.0, 7, 0, 1, 0, 0], [5.0, 7, 1, 0, 0, 0]])


@pytest.fixture(scope="module")
def gower():
    return TABLE.with_gower(ROWS)


def by_hand(one, other):
    """The mean over the three columns that vary: age by its range of 10, the class, and the yes or no."""
    age, colour, ill = abs(one[0] - other[0]) / 10, np.abs(one[2:5] - other[2:5]).sum() / 2, abs(one[5] - other[5])
    return (age + colour + ill) / 3


def test_the_distance_of_rows_is_that_by_hand(gower):
    changes = ROWS[[0, 0, 1]] - ROWS[[1, 2, 2]]
    assert sizes(changes, gower).tolist() == pytest.approx([(1 + 1 + 1) / 3, (0.5 + 0 + 1) / 3, (0.5 + 1 + 0) / 3])
    assert sizes(torch.tensor([[0.0, 3, 0, 0, 0, 0]]), gower).item() == 0  # without a range it counts nothing
    half = torch.tensor([[0.0, 0, -0.5, 0.25, 0.25, 0]])  # half of the probability goes to other classes
    assert sizes(half, gower).item() == pytest.approx(0.5 / 3)
    assert sizes(changes, TABLE).tolist() == pytest.approx(changes.norm(dim=1).tolist())


@pytest.fixture(scope="module")
def lens(gower):
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2))
    decoder = nn.Sequential(nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, 6))
    return vl.Lens(nn.Sequential(encoder, decoder).eval(), encoder, decoder, example=ROWS, observation=gower)


def test_every_effect_on_what_comes_out_is_in_it_and_says_so(lens):
    x = torch.cat([ROWS, ROWS + 0.5])
    encode, decode = (lambda rows: lens.encode(rows)), (lambda z: lens.decode(z).numpy())
    z = encode(x)
    base = decode(z)
    effects = vl.latent_effects(lens, x, values=[-1.0, 2.0], progress=False)
    for latent in range(2):
        moved = []
        for value in (-1.0, 2.0):
            changed = z.clone()
            changed[:, latent] = value
            moved += [by_hand(one, other) for one, other in zip(decode(changed), base, strict=True)]
        assert float(effects.ces[latent]) == pytest.approx(np.mean(moved), rel=1e-5)
    apart = [by_hand(base[i], base[j]) for i in range(6) for j in range(i)]
    assert reference_distance(lens, z)[0] == pytest.approx(np.mean(apart), rel=1e-5)
    assert float(effects.ces_relative[0]) == pytest.approx(float(effects.ces[0]) / np.mean(apart), rel=1e-5)
    assert effects.ces.attrs["units"] == effects.ces_posterior.attrs["units"] == "Gower"

    patched = vl.patching_effects(lens, x[:3], x[3:], progress=False)
    changed = z[:3].clone()
    changed[:, 1] = z[3:, 1]
    moved = [by_hand(one, other) for one, other in zip(decode(changed), base[:3], strict=True)]
    at = (patched.site == "latent").values.argmax() + 1
    assert float(patched.effect[at]) == pytest.approx(np.mean(moved), rel=1e-5)
    assert patched.effect.attrs["units"] == "L2 of a code, Gower of a row"
    ds = vl.ArrayDataset(x, observation=lens.observation)
    manipulated = vl.manipulation_effects(lens, ds, {"older": vl.Manipulation("shift", 2.0, features="age")}, n=6)
    older = x.clone()
    older[:, 0] += 2
    moved = [by_hand(one, other) for one, other in zip(decode(encode(older)), base, strict=True)]
    assert float(manipulated.output_effect[0]) == pytest.approx(np.mean(moved), rel=1e-5)
    assert manipulated.output_effect.attrs["units"] == "Gower"


def specific(shares):
    """1 − H / log n of changes that are proportional to shares."""
    p = np.asarray(shares) / np.sum(shares)
    return 1 + (p[p > 0] * np.log(p[p > 0])).sum() / np.log(len(p))


@pytest.mark.parametrize("over", ["values", "groups"])
def test_specificity_counts_each_feature_by_its_share_of_it(lens, gower, over):
    groups = {"age": [0], "constant": [1], "colour": [2, 3, 4], "ill": [5]}
    observation = vl.Observation.vector(gower.features, groups=groups, one_hot=gower.one_hot, noun="rows")
    x = torch.cat([ROWS, ROWS + 0.5])
    grouped = vl.Lens(lens.module, lens.module[0], lens.module[1], example=x, observation=observation.with_gower(ROWS))
    effects = vl.latent_effects(grouped, x, values=[-1.0, 2.0], over=over, progress=False)
    z = lens.encode(x)
    base = lens.decode(z).numpy()
    weights = np.array([1 / 30, 0, 1 / 6, 1 / 6, 1 / 6, 1 / 3])  # of three columns: a range of 10, classes, a yes or no
    for latent in range(2):
        moved = np.zeros((6, 6))
        for value in (-1.0, 2.0):
            changed = z.clone()
            changed[:, latent] = value
            moved += np.abs(lens.decode(changed).numpy() - base) * weights / 2
        if over == "groups":
            moved = np.stack([moved[:, members].sum(axis=1) for members in groups.values()], axis=1)
        assert float(effects.specificity_normalised[latent]) == pytest.approx(specific(moved.mean(axis=0)), abs=1e-5)
        per_image = np.mean([specific(row) for row in moved])
        assert float(effects.specificity_per_image[latent]) == pytest.approx(per_image, abs=1e-5)
        if over == "values":  # what each feature changes by is said in its own unit
            assert float(effects.effect_map[latent, 5]) == pytest.approx(moved.mean(axis=0)[5] * 3, rel=1e-4)


def test_a_model_keeps_the_distance_that_it_was_built_with(gower, tmp_path):
    vl.build_model("vae", gower, latent_dim=2).save_pretrained(tmp_path)
    assert vl.Lens(vl.VAE.from_pretrained(tmp_path)).observation.weights == gower.weights


def test_what_has_no_columns_is_one_sentence(lens):
    with pytest.raises(vl.VaelensError, match="Gower's distance is of vectors, and series have shape"):
        vl.Observation.series((2, 8)).with_gower(torch.zeros(2, 2, 8))
    with pytest.raises(vl.VaelensError, match="2 weights of a Gower distance for a shape of"):
        vl.Observation((3,), ("feature",), weights=(1.0, 1.0))
    with pytest.raises(vl.VaelensError, match="these rows have no range"):
        vl.latent_effects(lens, ROWS, tolerance=0.1, progress=False)


def test_columns_in_units_of_their_own_have_no_removal_cost_where_the_likelihood_is_not_known():
    linear = torch.nn.Linear(2, 2)
    x = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    plain = vl.Observation.vector(2)
    kept = []
    for kind in (plain, plain.with_gower(x)):
        lens = vl.Lens(linear, encode=linear, decode=lambda z: z, example=x, observation=kind, progress=False)
        kept.append("removal_cost" in vl.latent_effects(lens, x, progress=False))
    assert kept == [True, False]
