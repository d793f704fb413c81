import numpy as np
import pytest
import torch
import xarray as xr

import vaelens as vl
from vaelens.analysis.choice import Share
from vaelens.analysis.part import Late
from vaelens.analysis.parts import parts_of
from vaelens.analysis.patching_part import spread
from vaelens.analysis.run import selected_parts
from vaelens.analysis.subject import Subject
from vaelens.report import sentences


@pytest.fixture(scope="module")
def lens():
    model = vl.build_model("vae", image_shape=(1, 8, 8), latent_dim=3)
    with torch.no_grad():  # spread the codes, so that every latent is active though nothing was trained
        model.get_submodule("encoder")[-1].weight.mul_(20)
    return vl.Lens(model)


@pytest.fixture(scope="module")
def with_factors():
    rng = np.random.default_rng(0)
    factors = rng.integers(0, 3, size=(40, 2))
    images = rng.random((40, 1, 8, 8)) * 0.2 + factors[:, :1, None, None] * 0.3
    return vl.ArrayDataset(images.clip(0, 1), factors, names=["level", "nothing"])


@pytest.fixture(scope="module")
def without_factors():
    return vl.ArrayDataset(np.random.default_rng(0).random((12, 1, 8, 8)))


def test_an_analysis_has_every_part_and_says_how_it_was_made(lens, with_factors):
    analysis = vl.analyse(lens, with_factors, n=20, seed=3, progress=False)
    assert list(analysis.effects) == [
        "reconstruction",
        "latent",
        "modes",
        "recoded",
        "labels",
        "input",
        "patching",
        "mediation",
        "responses",
        "pictures",
        "importance",
        "controls",
    ]
    assert analysis.provenance["images"] == 20
    assert analysis.provenance["seed"] == 3
    assert analysis.provenance["model"] == lens.describe()
    assert analysis.provenance["dataset"] == with_factors.describe()
    assert analysis.provenance["checks"] == {
        "identity_patch_changes_no_bit": True,
        "whole_latent_patch_equals_source": True,
    }
    assert analysis.effects["mediation"].treatment.values.tolist() == ["level", "nothing"]
    assert analysis.effects["modes"].mode.values.tolist() == ["range", "shift", "posterior", "prior", "conditional"]


def test_its_parts_are_what_the_public_functions_give(lens, with_factors):
    analysis = vl.analyse(lens, with_factors, n=20, seed=3, progress=False)
    x, _ = with_factors.sample(20, seed=3)
    latent = analysis.effects["latent"]
    xr.testing.assert_identical(latent.drop_vars("informative"), vl.latent_effects(lens, x, seed=3))
    xr.testing.assert_identical(analysis.effects["patching"], vl.patching_effects(lens, x[:10], x[10:], seed=3))
    xr.testing.assert_identical(analysis.effects["input"], vl.input_effects(lens, with_factors, n=20, seed=3))
    assert analysis.scores.value["ces"] == vl.causal_effect_strength(lens, x, seed=3).mean()
    assert analysis.scores.value["circuit_modularity"] == vl.circuit_modularity(lens, x)
    error = (lens.reconstruct(x) - x).double().square().mean()
    assert analysis.scores.value["reconstruction_error"] == pytest.approx(float(error), rel=1e-6)


def test_the_same_seed_gives_the_same_analysis(lens, with_factors):
    first, second = (vl.analyse(lens, with_factors, n=16, seed=1, progress=False) for _ in range(2))
    for name in first.effects:
        xr.testing.assert_identical(first.effects[name], second.effects[name])
    assert first.scores.equals(second.scores)
    assert first.provenance == second.provenance


def test_without_factors_what_needs_them_is_left_out(lens, without_factors):
    analysis = vl.analyse(lens, without_factors, progress=False)  # 512 images asked for, 12 there
    assert analysis.provenance["images"] == 12
    assert "importance" not in analysis.effects
    assert "mig" not in analysis.scores.index
    assert "manipulation" in analysis.effects["input"].dims
    assert analysis.effects["mediation"].treatment.values.tolist() == ["another image"]


def test_traversals_show_the_first_image_with_one_latent_replaced(lens, with_factors):
    pictures = vl.analyse(lens, with_factors, n=8, progress=False).effects["pictures"]
    code = lens.encode(torch.as_tensor(pictures.original.values[:1]))
    code[0, 2] = -3.0
    expected = lens.decode(code)[0].numpy()
    np.testing.assert_allclose(pictures.traversal.sel(latent=2, value=-3.0).values, expected, rtol=1e-5)


def test_wrong_arguments_are_refused(lens, with_factors):
    with pytest.raises(vl.VaelensError, match=r"analyse takes a Lens, got a VAE; wrap the model with vl\.Lens"):
        vl.analyse(lens.module, with_factors)
    with pytest.raises(vl.VaelensError, match="analyse takes a dataset, got a Tensor"):
        vl.analyse(lens, torch.rand(9, 1, 8, 8))
    with pytest.raises(vl.VaelensError, match="an analysis needs at least 8"):
        vl.analyse(lens, with_factors, n=7)
    other = vl.Lens(vl.build_model("vae", image_shape=(1, 16, 16)))
    with pytest.raises(vl.VaelensError, match=r"images have shape \(1, 8, 8\) each, this model takes \(1, 16, 16\)"):
        vl.analyse(other, with_factors, progress=False)


def test_a_decoder_of_one_layer_has_no_circuits_to_compare_and_that_is_said(with_factors):
    encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
    decoder = torch.nn.Sequential(torch.nn.Linear(2, 64), torch.nn.Unflatten(1, (1, 8, 8)))
    lens = vl.Lens(torch.nn.Sequential(encoder, decoder), encoder, decoder, example=torch.zeros(1, 1, 8, 8))
    scores = vl.analyse(lens, with_factors, n=8, progress=False).scores
    assert np.isnan(scores.value["circuit_modularity"])
    assert (
        scores.made["circuit_modularity"] == "not computed: the decoder has no unit between the latent and its output"
    )


def test_parts_are_chosen_by_name(lens, with_factors):
    analysis = vl.analyse(lens, with_factors, n=8, progress=False, only=["pictures", "latent"])
    assert list(analysis.effects) == ["latent", "pictures"]
    assert analysis.provenance["left_out"]["patching"] == "it was not asked for"
    assert analysis.provenance["left_out"]["swap"] == "the latent has no codebook"
    assert list(analysis.scores.index)[:3] == ["active_latents", "kl", "ces"]
    assert "mig" not in analysis.scores.index
    few = vl.analyse(lens, with_factors, n=8, progress=False, only="latent")
    xr.testing.assert_identical(few.effects["latent"], analysis.effects["latent"])
    assert "importance" not in selected_parts(None, "importance")


def test_unknown_parts_are_refused_before_the_work(lens, with_factors):
    with pytest.raises(vl.VaelensError, match=r"unknown part of an analysis in only 'latnt'; .* did you mean 'latent'"):
        vl.analyse(lens, with_factors, only="latnt")
    with pytest.raises(
        vl.VaelensError, match=r"unknown part of an analysis in skip 'patch'; .* did you mean 'patching'"
    ):
        vl.analyse(lens, with_factors, skip=["patch"])
    with pytest.raises(vl.VaelensError, match="only and skip leave no part"):
        vl.analyse(lens, with_factors, only="latent", skip="latent")
    with pytest.raises(
        vl.VaelensError, match=r"no part that was asked for can be made .swap: the latent has no codebook"
    ):
        vl.analyse(lens, with_factors, only="swap", progress=False)
    with pytest.raises(vl.VaelensError, match=r"unknown estimator of DCI 'forest'; known: random-forest, gradient-boo"):
        vl.analyse(lens, with_factors, dci_estimator="forest")
    for minutes in (0, -1, float("inf"), float("nan"), True):
        with pytest.raises(vl.VaelensError, match="expected how long the analysis may take, a number above 0"):
            vl.analyse(lens, with_factors, minutes=minutes)


def test_sites_to_patch_are_spread_over_the_model():
    names = ["encoder.0", "encoder.1", "latent", "decoder.0", "decoder.1", "decoder.2"]
    order = spread(names)
    assert sorted(order) == sorted(names)
    assert order[:3] == ["latent", "encoder.0", "decoder.2"]
    assert spread(["latent"]) == ["latent"]


def test_reconstructions_that_are_all_alike_are_said_to_be(with_factors):
    encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
    decoder = torch.nn.Sequential(torch.nn.Linear(2, 64), torch.nn.Unflatten(1, (1, 8, 8)))
    with torch.no_grad():
        decoder[0].weight.zero_()
    lens = vl.Lens(torch.nn.Sequential(encoder, decoder), encoder, decoder, example=torch.zeros(1, 1, 8, 8))
    analysis = vl.analyse(lens, with_factors, n=8, progress=False, skip="importance")
    assert analysis.scores.made["ces_relative"] == "not computed: all reconstructions are alike"
    assert any(sentence.startswith("All reconstructions are alike") for sentence in sentences(analysis))


def test_one_latent_is_compared_with_nothing(with_factors, tmp_path):
    encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 1))
    decoder = torch.nn.Sequential(torch.nn.Linear(1, 64), torch.nn.Unflatten(1, (1, 8, 8)))
    lens = vl.Lens(torch.nn.Sequential(encoder, decoder), encoder, decoder, example=torch.zeros(1, 1, 8, 8))
    analysis = vl.analyse(lens, with_factors, n=16, progress=False)
    found = sentences(analysis)
    assert any("there is no other to compare it with" in sentence for sentence in found)
    assert any(sentence.startswith("Setting its one latent to its value on another image moves") for sentence in found)
    of_latents = [sentence for sentence in found if "unit" not in sentence]
    assert not any(word in " ".join(of_latents) for word in (" most ", "most,", "least:"))
    assert analysis.scores.made["circuit_modularity"].startswith("not computed: ")
    assert analysis.scores.made["specificity_normalised_latents"].startswith("not computed: one latent alone")
    analysis.report(tmp_path / "report.html")


def test_patching_that_is_cut_short_has_whole_sites_as_they_would_be_alone(lens, with_factors):
    x, labels = with_factors.sample(20, seed=0)
    parts, _ = parts_of(Subject(lens, with_factors, x, labels, None, 0), {})
    patching = parts["patching"]
    assert patching.pieces[0] == "latent"
    steps = []

    def late(done, total):
        steps.append(done / total)
        if len(steps) > 5:
            raise Late

    cut = patching.run_until(Share(6, len(patching.pieces)), late)
    sites = list(dict.fromkeys(cut.site.values.tolist()))
    assert 1 < len(sites) < len(patching.pieces)
    assert steps == sorted(steps)
    xr.testing.assert_identical(cut, vl.patching_effects(lens, x[:6], x[6:12], sites, progress=False))
    whole = patching.run_until(patching.whole, lambda *_: None)
    xr.testing.assert_identical(whole, patching.run(patching.whole, lambda *_: None))


def test_means_over_active_latents_can_be_over_those_of_another_result(lens, with_factors):
    x, _ = with_factors.sample(12, seed=0)
    flags = np.array([True, False, True])
    recoded = vl.latent_effects(lens, x, over="latents", progress=False, active=flags)
    expected = recoded["specificity_normalised"].values[flags].mean()
    assert float(recoded["specificity_normalised_active_mean"]) == pytest.approx(expected, rel=1e-12)
    with pytest.raises(vl.VaelensError, match=r"active is .*; expected True or False for each of the 3 latents"):
        vl.latent_effects(lens, x, active=[True, False])


def test_parts_that_take_fewer_images_go_by_the_active_latents_of_the_latent_part(linear_of):
    """A latent that says which of 600 images are odd is active, and looks dead on the first 128."""
    images = np.full((600, 1, 1, 3), 0.5)
    images[..., :2] += np.random.default_rng(0).uniform(-0.3, 0.3, size=(600, 1, 1, 2))
    odd = np.random.default_rng(2).permutation(600)[:4]
    images[..., 2] = 0.0
    images[odd, ..., 2] = 1.0
    ds = vl.ArrayDataset(images)
    a = np.diag([2.0, 2.0, 3.0])
    lens = linear_of(a, 0.1 * np.eye(3), [-1.0, -1.0, 0.0], [0.5] * 3, shape=(1, 1, 3), logvar=[-2.0, -2.0, 0.0])
    analysis = vl.analyse(lens, ds, n=600, progress=False, only=["latent", "recoded", "modes", "responses"])
    x, _ = ds.sample(600, seed=0)
    assert float(x[:128, ..., 2].max()) == 0
    assert analysis.effects["latent"]["active"].values.all()
    assert not vl.latent_effects(lens, x[:128], progress=False)["active"].values.all()
    for part, variable in (("recoded", "specificity_normalised"), ("modes", "ces")):
        effects = analysis.effects[part]
        means = effects[variable].values.mean(axis=-1)
        np.testing.assert_allclose(effects[f"{variable}_active_mean"].values, means, rtol=1e-12)
    assert analysis.effects["responses"]["active"].values.all()
    alone = vl.analyse(lens, ds, n=600, progress=False, only="responses")  # then by all images of the analysis
    assert alone.effects["responses"]["active"].values.all()
