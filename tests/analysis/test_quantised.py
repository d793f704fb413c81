"""An analysis of a latent that is quantised by hand: each pixel becomes one of some codes, and is drawn in a weight."""

import json

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

import vaelens as vl
from vaelens.effects.ces_by_mode import ces_by_mode
from vaelens.report import sentences

WEIGHTS = np.arange(1.0, 5.0)  # of the four pixels


def by_hand(codes, flat=False):
    """Embedding = the pixel, or with `flat` all four pixels as latents at no position; image = weights · code."""
    encoder = nn.Flatten() if flat else nn.Identity()
    decoder = nn.Linear(4, 4, bias=False, dtype=torch.float64)
    with torch.no_grad():
        decoder.weight.copy_(torch.diag(torch.as_tensor(WEIGHTS)))
    return vl.Lens(
        nn.ModuleDict({"encoder": encoder, "decoder": decoder}),
        encoder,
        lambda embedding: decoder(embedding.flatten(1)).view(-1, 1, 2, 2),
        codebook=torch.as_tensor(codes, dtype=torch.float64),
        example=torch.zeros(1, 1, 2, 2),
    )


@pytest.fixture(scope="module")
def dataset():
    rng = np.random.default_rng(0)
    factors = rng.integers(0, 2, size=(24, 2))
    return vl.ArrayDataset((rng.random((24, 1, 2, 2)) + factors[:, :1, None, None]) / 2, factors, names=["level", "no"])


@pytest.fixture(scope="module")
def analysed(dataset):
    return vl.analyse(by_hand([[0.1], [0.7]]), dataset, n=16, seed=2, progress=False)


def test_swaps_and_interventions_at_one_position_are_parts_of_it(analysed, dataset):
    lens, (x, _) = by_hand([[0.1], [0.7]]), dataset.sample(16, seed=2)
    assert list(analysed.effects)[-5:] == ["swap", "codes", "pictures", "importance", "controls"]
    xr.testing.assert_identical(analysed.effects["swap"], vl.latent_effects(lens, x, mode="swap", seed=2))
    xr.testing.assert_identical(analysed.effects["one_position"], ces_by_mode(lens, x, 2, positions="one"))


def test_their_scores_are_what_a_swap_of_two_codes_does(analysed):
    scores, swap = analysed.scores, analysed.effects["swap"]
    assert scores.value["ces_swap"] == pytest.approx(0.6 * WEIGHTS.mean(), rel=1e-5)
    assert scores.low["ces_swap"] == float(swap.ces_mean_low)
    assert scores.high["ces_swap"] == float(swap.ces_mean_high)
    distance = analysed.effects["latent"].attrs["reference_distance"]
    assert scores.value["ces_relative_swap"] == pytest.approx(0.6 * WEIGHTS.mean() / distance, rel=1e-5)
    assert scores.made["ces_swap"] == "mean over 4 positions, 4 swaps each, 16 images"
    assert scores.value["codes_used"] == 2
    assert scores.made["codes_used"] == (
        "of 2, at any position of 16 images; upper end: of any number of images, by Chao's estimate"
    )
    assert scores.value["code_perplexity"] == swap.attrs["code_perplexity"]


def test_a_channel_at_one_position_moves_less_than_a_whole_one(analysed):
    alone = analysed.effects["one_position"]
    at_one = float(alone.ces.sel(mode="range").mean()) / analysed.effects["latent"].attrs["reference_distance"]
    assert analysed.scores.value["ces_relative_one_position"] == pytest.approx(at_one)
    assert 0 < at_one < analysed.scores.value["ces_relative"]
    assert "mode range, 16 images" in analysed.scores.made["ces_relative_one_position"]


def test_the_pictures_show_the_first_image_with_the_other_code_at_each_position(analysed):
    pictures = analysed.effects["pictures"]
    assert pictures.position.values.tolist() == [0, 1, 2, 3]
    change = np.abs(pictures.swapped - pictures.reconstruction[0]).values.reshape(4, 4, 4)  # (position, swap, pixel)
    for position in range(4):
        expected = 0.6 * WEIGHTS * (np.arange(4) == position)
        np.testing.assert_allclose(change[position], np.tile(expected, (4, 1)), atol=1e-6)


def test_what_factors_are_predicted_from_is_said(analysed, dataset):
    assert analysed.effects["importance"].sizes["latent"] == 1
    assert analysed.effects["importance"].attrs["irs_made"].startswith("24 codes, means over positions of the codes")


def test_it_saves_loads_and_reports(analysed, tmp_path):
    loaded = vl.Analysis.load(analysed.save(tmp_path))
    for name in ("latent", "swap", "one_position", "pictures"):
        xr.testing.assert_identical(loaded.effects[name], analysed.effects[name])
    assert loaded.provenance == analysed.provenance == json.loads(json.dumps(analysed.provenance))
    assert sentences(loaded) == sentences(analysed)
    pages = [one.report(tmp_path / f"{k}.html").read_bytes() for k, one in enumerate((analysed, loaded))]
    assert pages[0] == pages[1]
    assert b'id="codebook"' in pages[0]


def test_a_dead_codebook_is_analysed_without_swaps_and_that_is_said(dataset, tmp_path):
    analysis = vl.analyse(by_hand([[0.5], [99.0]]), dataset, n=16, progress=False)
    assert "swap" not in analysis.effects
    assert "swapped" not in analysis.effects["pictures"]
    assert analysis.scores.value[["ces_swap", "ces_relative_swap"]].isna().all()
    assert analysis.scores.made["ces_swap"] == "not computed: one code is in use, and there is none to swap it for"
    assert analysis.scores.value["codes_used"] == analysis.scores.value["code_perplexity"] == 1
    assert any(sentence.startswith("The codebook is dead on these images") for sentence in sentences(analysis))
    assert "the codebook is dead" in analysis.report(tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_latent_without_positions_has_one_code_to_swap(dataset, tmp_path):
    lens = by_hand([[0.1] * 4, [0.7] * 4], flat=True)
    analysis = vl.analyse(lens, dataset, n=16, progress=False)
    assert "one_position" not in analysis.effects
    assert "ces_relative_one_position" not in analysis.scores.index
    assert analysis.scores.value["ces_swap"] == pytest.approx(0.6 * np.linalg.norm(WEIGHTS), rel=1e-5)
    analysis.report(tmp_path / "report.html")
