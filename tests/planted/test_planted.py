"""What is said to be true of planted models, against hand arithmetic and against every measurement of ours."""

from functools import cache
from itertools import combinations

import numpy as np
import pytest
import torch

import vaelens as vl
from vaelens.planted import KINDS

SHAPES = [(depth, convolutional) for depth in (2, 3, 4) for convolutional in (False, True)]
EVERY = [(kind, *shape) for kind in KINDS for shape in SHAPES]
MEASURED = [(kind, 2 + k % 3, k % 2 == 0) for k, kind in enumerate(KINDS)]  # all shapes agree, in ten minutes

planted_model = cache(vl.planted_model)  # a third of a second each


def faithfulness_of(planted, factor):
    """What the circuit run of a set of units carries of 20 pairs' effects, by `lens.run`.

    The source goes in, and all other units are held at their values on the base.
    """
    lens, pairs = planted.lens, planted.dataset.pairs(factor, 20)
    base = lens.run(pairs.x, capture="all")
    total = lens.reconstruct(pairs.x2) - base.reconstruction

    def faithfulness(units):
        held = []
        for site in lens.sites:
            outside = [unit for unit in range(lens.sites[site].units) if unit not in units.get(site, ())]
            if outside and site != lens.sites.output:
                held.append(vl.Patch(site, outside, base.activations[site]))
        circuit = lens.run(pairs.x2, held).reconstruction - base.reconstruction
        return float((circuit * total).sum() / (total * total).sum())

    return faithfulness


def without(units, node):
    return units | {node[0]: tuple(unit for unit in units[node[0]] if unit != node[1])}


def nodes(units):
    return [(site, unit) for site, members in units.items() for unit in members]


@pytest.mark.parametrize(("kind", "depth", "convolutional"), EVERY)
def test_images_are_encoded_exactly_and_lie_in_range(kind, depth, convolutional):
    planted = planted_model(kind, depth, convolutional, seed=depth)
    images = planted.images
    assert 0 <= float(images.min()) < float(images.max()) <= 1
    assert float((planted.lens.reconstruct(images) - images).abs().max()) < 1e-6
    assert len([site for site in planted.lens.sites if site.startswith("encoder")]) == depth
    assert {site: len(types) for site, types in planted.truth.unit_types.items()} == {
        name: site.units for name, site in planted.lens.sites.items() if name != planted.lens.sites.output
    }


# Of depth 2 and 4: what holds of both holds of what lies between.
@pytest.mark.parametrize(("kind", "depth", "convolutional"), [case for case in EVERY if case[1] != 3])
def test_a_circuit_carries_all_of_the_effect_and_loses_it_without_any_one_unit(kind, depth, convolutional):
    planted = planted_model(kind, depth, convolutional, seed=depth)
    for factor, circuit in planted.truth.circuits.items():
        faithfulness = faithfulness_of(planted, factor)
        for units in (circuit, *planted.truth.alternatives[factor]):
            assert faithfulness(units) == pytest.approx(1, abs=1e-5)
            for node in nodes(units):
                assert faithfulness(without(units, node)) < 0.85, node


@pytest.mark.parametrize(("kind", "depth", "convolutional"), MEASURED)
def test_scores_are_those_that_are_measured(kind, depth, convolutional):
    planted = planted_model(kind, depth, convolutional, seed=depth)
    effects = vl.latent_effects(planted.lens, planted.images, progress=False)
    np.testing.assert_allclose(effects.ces, planted.truth.ces, atol=1e-5)
    np.testing.assert_allclose(effects.specificity, planted.truth.specificity, atol=1e-5)
    modularity = vl.circuit_modularity(planted.lens, planted.images, progress=False)
    assert modularity == pytest.approx(planted.truth.modularity, abs=1e-5)


@pytest.mark.parametrize(("kind", "depth", "convolutional"), MEASURED)
def test_mediation_is_what_is_measured(kind, depth, convolutional):
    planted = planted_model(kind, depth, convolutional, seed=depth)
    for factor, expected in planted.truth.mediation.items():
        pairs = planted.dataset.all_pairs(factor)
        for site, rows in expected.groupby("site", sort=False):
            effects = vl.mediation_effects(
                planted.lens, pairs.x, pairs.x2, site=str(site), outcome="image", progress=False
            )
            for part in ("direct", "indirect", "interaction"):
                np.testing.assert_allclose(effects[part], rows[part], atol=1e-5)


def test_scores_by_hand():
    # Latents take −2 … 2 and are set to −3 … 3: E|v − z| = (12 + 2·13 + 2·16) / 35 = 2 of a lattice of 64 pixels, a
    # sixteenth of which is shown: √64 · 2 / 16 = 1. The change is spread evenly over 64 pixels.
    truth = planted_model("aligned").truth
    assert truth.ces.tolist() == pytest.approx([1, 1, 1])
    assert truth.specificity.tolist() == pytest.approx([1 / np.log(64)] * 3)
    assert truth.modularity == pytest.approx(1)
    # What is positive of a sum of two: cos² and sin² of 36.9° are the shares of the two latents.
    rotated = planted_model("rotated").truth
    shares = rotated.mediation["first"].query("site == 'latent'").indirect
    assert sorted(shares) == pytest.approx([0, 0.36, 0.64], abs=1e-12)
    assert rotated.mediation["third"].query("site == 'latent'").indirect.max() == pytest.approx(1)
    # Three directions 120° apart: a latent along the second's carries cos² 30° of it, the other one cos² 120°.
    superposed = planted_model("superposed", convolutional=True)
    assert superposed.lens.latents == 2
    assert len(superposed.dataset.factors) == 3
    assert sorted(len(circuit["latent"]) for circuit in superposed.truth.circuits.values()) == [1, 2, 2]


def test_types_and_roles():
    for kind, types in {
        "aligned": ["monosemantic"] * 3,
        "rotated": ["monosemantic", "polysemantic", "polysemantic"],
        "superposed": ["polysemantic"] * 2,
        "dead": ["dead", "dead", "monosemantic", "monosemantic"],
        "distractor": ["monosemantic"] * 3,
    }.items():
        assert sorted(planted_model(kind, seed=3).truth.unit_types["latent"]) == types
    assert planted_model("interaction").truth.unit_types["decoder.2"].count("polysemantic") == 1
    redundant = planted_model("redundant")
    assert set(redundant.truth.roles.values()) == {"redundant"}
    backup = planted_model("backup", seed=1)
    assert set(backup.truth.roles.values()) == {"backup"}
    for site, unit in backup.truth.roles:
        assert backup.truth.unit_types[site][unit] == "dead"  # it never acts while nothing is ablated
        assert all(unit not in circuit[site] for circuit in backup.truth.circuits.values())


@pytest.mark.parametrize("kind", ["redundant", "backup"])
def test_no_other_set_of_units_carries_a_factor(kind):
    """All subsets of the units of the two sites that hold the second way, the rest of the circuit given."""
    planted = planted_model(kind, depth=2, seed=1)
    first = planted.truth.circuits["first"]
    fixed = {site: units for site, units in first.items() if site not in ("decoder.0", "decoder.1")}
    candidates = [
        (site, unit)
        for site in ("decoder.0", "decoder.1")
        for unit in range(planted.lens.sites[site].units)
        if planted.truth.unit_types[site][unit] != "dead" or (site, unit) in planted.truth.roles
        if unit not in planted.truth.circuits["second"][site]
    ]
    faithfulness = faithfulness_of(planted, "first")
    minimal = []
    for size in range(1, len(candidates) + 1):
        for chosen in combinations(candidates, size):
            if any(set(smaller) <= set(chosen) for smaller in minimal):
                continue
            units = fixed | {s: tuple(u for site, u in chosen if site == s) for s in ("decoder.0", "decoder.1")}
            if faithfulness(units) >= 0.9:
                minimal.append(chosen)
    expected = [
        {node for node in nodes(circuit) if node[0] in ("decoder.0", "decoder.1")}
        for circuit in (first, *planted.truth.alternatives["first"])
    ]
    assert [set(chosen) for chosen in minimal] in (expected, expected[::-1])


def test_edges_run_from_the_factor_to_the_image():
    for kind in KINDS:
        truth = planted_model(kind, depth=2, seed=5).truth
        for factor, edges in truth.edges.items():
            touched = {end for edge in edges for end in edge}
            assert touched == {factor, "image", *nodes(truth.circuits[factor])}
    # The second factor of the aligned kind passes as two units: 2 + 4 + 2 + 2 + 4 + 2 wires.
    assert len(planted_model("aligned", depth=2).truth.edges["second"]) == 2 + 2 * 2 + 2 + 2 + 2 * 2 + 2
    assert len(planted_model("aligned", depth=2).truth.edges["first"]) == 1 + 1 + 1 + 1 + 2 + 2


def test_seeds_shuffle_units_and_pixels():
    circuits = [planted_model("aligned", seed=seed).truth.circuits["first"] for seed in range(6)]
    assert len({tuple(circuit.items()) for circuit in circuits}) > 1
    images = [planted_model("aligned", convolutional=True, seed=seed).images[0] for seed in range(6)]
    assert any(not torch.equal(images[0], image) for image in images[1:])
    again = vl.planted_model("aligned", seed=4)
    assert again.truth.circuits["first"] == circuits[4]


@pytest.mark.parametrize("convolutional", [False, True])
def test_models_save_and_load(tmp_path, convolutional):
    planted = planted_model("backup", depth=2, convolutional=convolutional, seed=7)
    planted.model.save_pretrained(tmp_path / "model")
    assert {path.name for path in (tmp_path / "model").iterdir()} == {"config.json", "model.safetensors", "README.md"}
    loaded = vl.PlantedVAE.from_pretrained(tmp_path / "model")
    assert loaded.config == {"kind": "backup", "depth": 2, "convolutional": convolutional, "seed": 7}
    for name, tensor in planted.model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)
    assert dict(vl.Lens(loaded).sites) == dict(planted.lens.sites)
    assert torch.equal(vl.Lens(loaded).reconstruct(planted.images), planted.lens.reconstruct(planted.images))


def test_a_folder_of_another_model_is_refused(tmp_path):
    vl.build_model("vae", image_shape=(1, 16, 16), latent_dim=2).save_pretrained(tmp_path / "model")
    with pytest.raises(vl.VaelensError, match="lacks kind"):
        vl.PlantedVAE.from_pretrained(tmp_path / "model")


def test_pairs_differ_in_one_factor_alone():
    for kind in KINDS:
        dataset = planted_model(kind).dataset
        for k, name in enumerate(dataset.factors.names):
            for pairs in (dataset.pairs(name, 40, seed=1), dataset.all_pairs(name)):
                unlike = pairs.f != pairs.f2
                assert unlike[:, k].all()
                assert (unlike.sum(dim=1) == 1).all()
                assert pairs.matched.all()


def test_arguments_are_checked():
    with pytest.raises(vl.VaelensError, match=r"unknown kind of planted model 'rotate'; .* did you mean 'rotated'\?"):
        vl.planted_model("rotate")
    with pytest.raises(vl.VaelensError, match="depth is 5; expected a whole number from 2 to 4"):
        vl.planted_model("aligned", depth=5)
    with pytest.raises(vl.VaelensError, match="convolutional is 'yes'; expected True or False"):
        vl.planted_model("aligned", convolutional="yes")
    with pytest.raises(vl.VaelensError, match="seed is -1"):
        vl.planted_model("aligned", seed=-1)


def test_opened_as_a_vae_a_folder_says_how_it_opens(tmp_path):
    planted_model("chain", 2).model.save_pretrained(tmp_path)
    with pytest.raises(vl.VaelensError, match=r"holds a planted model; open it with vl\.PlantedVAE\.from_pretrained"):
        vl.VAE.from_pretrained(tmp_path)
