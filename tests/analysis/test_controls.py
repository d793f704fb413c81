import json

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from torch import nn
from vector_quantize_pytorch import VectorQuantize

import vaelens as vl
from vaelens.analysis.controls import CONTROLS, comparable
from vaelens.analysis.random_label import RandomLabel
from vaelens.analysis.untrained import untrained
from vaelens.metrics.disentanglement.estimates import estimate_score
from vaelens.metrics.disentanglement.scorers import ScoredArrays, scorers


@pytest.fixture(scope="module")
def ds():
    rng = np.random.default_rng(0)
    factors = rng.integers(0, 3, size=(60, 2))
    images = rng.random((60, 1, 8, 8)) * 0.2 + factors[:, :1, None, None] * 0.3
    return vl.ArrayDataset(images.clip(0, 1), factors, names=["level", "nothing"])


@pytest.fixture(scope="module")
def lens():
    model = vl.build_model("vae", image_shape=(1, 8, 8), latent_dim=3)
    with torch.no_grad():
        model.get_submodule("encoder")[-1].weight.mul_(20)
    return vl.Lens(model)


@pytest.fixture(scope="module")
def analysis(lens, ds):
    return vl.analyse(lens, ds, n=40, seed=1, progress=False, only=["latent", "responses", "importance", "controls"])


def test_it_is_as_its_schema_says(analysis):
    assert CONTROLS.faults(analysis.effects["controls"]) == []


def test_untrained_scores_are_those_of_the_model_with_new_weights(lens, ds, analysis):
    x, _ = ds.sample(40, seed=1)
    found = analysis.effects["controls"]["untrained"]
    with untrained(lens, seed=1):
        effects = vl.latent_effects(lens, x, seed=1, active=np.ones(3, dtype=bool), progress=False)
        codes, labels = ds.sample(60, seed=2)
        mig = vl.mig(lens.encode(codes), labels, estimator="nearest-neighbours")
        error = float((lens.reconstruct(x) - x).double().square().mean())
    assert float(found.sel(score="ces_relative")) == float(effects["ces_relative_mean"])
    assert float(found.sel(score="mig")) == pytest.approx(mig)
    assert float(found.sel(score="reconstruction_error")) == pytest.approx(error, rel=1e-6)
    for key in ("ces_relative", "mig", "dci_disentanglement"):
        assert analysis.scores.untrained[key] == float(found.sel(score=key))
    low, high = (float(analysis.effects["controls"][f"untrained{end}"].sel(score="ces")) for end in ("_low", "_high"))
    assert low <= float(found.sel(score="ces")) <= high


def test_effects_relative_to_next_to_nothing_are_no_control():
    scores = pd.DataFrame(
        {"value": [3.0, 200.0], "low": [2.0, 100.0], "high": [4.0, 300.0], "made": ["", ""]},
        index=["ces", "ces_relative"],
    )
    alike, as_far, trained = (xr.Dataset(attrs={"reference_distance": distance}) for distance in (0.02, 0.5, 4.0))
    assert comparable(scores.copy(), as_far, trained).equals(scores)
    found = comparable(scores.copy(), alike, trained)
    assert found.value["ces"] == 3
    assert found.loc["ces_relative", ["value", "low", "high"]].isna().all()
    assert found.made["ces_relative"].endswith("nearly alike, 0.5% as far apart as the trained model's")


def test_total_correlation_needs_two_informative_latents():
    rng = np.random.default_rng(0)
    codes, factors = rng.normal(size=(300, 3)), rng.integers(0, 3, size=(300, 2))
    for informative, defined in (([True, True, False], True), ([False, True, False], False), ([False] * 3, False)):
        scorer = next(each for each in scorers(300, informative).values() if "total_correlation" in each.keys)
        (estimate,) = estimate_score(scorer, ScoredArrays(codes, factors, codes[:0], factors[:0]))
        assert np.isfinite(estimate.value) == defined
        assert ("fewer than two latents are informative" in estimate.reason) != defined


def test_shuffled_scores_are_the_levels_of_chance(analysis):
    shuffled = analysis.effects["controls"]["shuffled"]
    for key in ("mig", "dci_informativeness", "explicitness"):
        assert float(shuffled.sel(score=key)) == analysis.scores.chance[key]
    assert np.isnan(shuffled.sel(score="ces"))


def test_a_label_without_meaning_does_what_two_random_images_differ_by(lens, ds, analysis):
    x, _ = ds.sample(40, seed=1)
    by_hand = vl.input_effects(lens, RandomLabel(x, lens, seed=1), n=40, seed=1, progress=False)
    controls = analysis.effects["controls"]
    np.testing.assert_array_equal(controls.latent_shift_shuffled, by_hand.latent_shift[0])
    z = lens.encode(x)
    everything = (z[:, None] - z[None]).abs().mean(dim=(0, 1)) * 40 / 39 / z.std(dim=0, correction=0)
    np.testing.assert_allclose(controls.latent_effect_shuffled, everything.numpy(), rtol=0.25)


def test_the_model_and_the_other_parts_are_the_same_with_controls_and_without(lens, ds, analysis):
    without = vl.analyse(lens, ds, n=40, seed=1, progress=False, only=["latent", "responses", "importance"])
    for name, effects in without.effects.items():
        assert effects.identical(analysis.effects[name]), name
    assert without.provenance["model"] == analysis.provenance["model"] == lens.describe()
    assert without.scores.untrained.isna().all()


def test_without_labels_there_are_controls_of_effects_alone(lens):
    ds = vl.ArrayDataset(np.random.default_rng(0).random((20, 1, 8, 8)))
    controls = vl.analyse(lens, ds, n=20, progress=False, only="controls").effects["controls"]
    assert "mig" not in controls["score"]
    assert np.isfinite(controls.untrained.sel(score="ces_relative"))
    assert controls.shuffled.isnull().all()
    assert controls.output_effect_shuffled > 0


def test_an_untrained_quantiser_has_other_codes_and_its_own_again_afterwards():
    quantiser = VectorQuantize(dim=3, codebook_size=4, use_cosine_sim=True)
    model = nn.ModuleDict(
        {"code": nn.Conv2d(1, 3, 2, 2), "quantiser": quantiser, "out": nn.ConvTranspose2d(3, 1, 2, 2)}
    )
    parts = {"encode": model["code"], "decode": model["out"], "example": torch.rand(2, 1, 4, 4)}
    lens = vl.Lens(model, codebook=quantiser, **parts)
    before = lens.codebook.clone()
    with untrained(lens, seed=1):
        assert not torch.equal(lens.codebook, before)
        torch.testing.assert_close(lens.codebook.flatten().sort()[0], before.flatten().sort()[0])  # permuted
    assert torch.equal(lens.codebook, before)


def test_a_score_that_an_untrained_copy_lacks_says_why(ds):
    encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
    decoder = torch.nn.Sequential(torch.nn.Linear(2, 64), torch.nn.Unflatten(1, (1, 8, 8)))
    shallow = vl.Lens(torch.nn.Sequential(encoder, decoder), encoder, decoder, example=torch.zeros(1, 1, 8, 8))
    controls = vl.analyse(shallow, ds, n=20, progress=False, only="controls").effects["controls"]
    undefined = json.loads(controls.attrs["undefined"])
    assert "no unit between the latent and its output" in undefined["circuit_modularity"]
