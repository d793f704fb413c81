"""Reports, figures and sentences of vectors speak of what the vectors are, and never of pixels."""

import re
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

import vaelens as vl
from vaelens.report.features import feature_changes, top_features
from vaelens.report.latents import Latents


def test_no_word_of_images_is_said_of_cells(tmp_path):
    ds = vl.load_dataset("cells", length=40, programs=1)
    lens = vl.Lens(vl.build_model("vae", ds.observation.shape, latent_dim=2), observation=ds.observation)
    analysis = vl.analyse(lens, ds, n=16, only=["latent", "input"], progress=False)
    page = analysis.report(tmp_path / "cells.html").read_text()
    titles = re.findall(r'"text":"([^"]*)"', page)
    assert "Posterior CES (L2 in log-normalised expression)" in titles
    labels: list[Any] = analysis.figure("strengths").findobj(lambda artist: hasattr(artist, "get_text"))
    shown = [*titles, *(label.get_text() for label in labels)]
    assert not [label for label in shown if re.search("image|pixel", label)]
    assert "16 cells" in analysis._repr_html_()
    assert not re.search("image|pixel", analysis._repr_html_())
    with pytest.raises(vl.VaelensError, match="maps are of images, and the observations are cells"):
        analysis.figure("maps")
    with pytest.raises(vl.VaelensError, match="observations of cells are cells, and a factor reader reads images only"):
        vl.factor_reader(ds)


def test_what_observations_are_called_is_text_in_the_page(tmp_path):
    named = vl.Observation.vector(["a", "b"], noun="<script>alert(1)</script>", unit="<img src=x>")
    model = vl.build_model("vae", named, latent_dim=2)
    ds = vl.ArrayDataset(torch.rand(20, 2), range=(0, 1))
    analysis = vl.analyse(vl.Lens(model), ds, n=8, only=["latent"], progress=False)
    for page in (analysis.report(tmp_path / "page.html").read_text(), analysis._repr_html_()):
        assert "<script>alert(1)" not in page
        assert "<img src=x" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_with_gowers_distance_features_of_other_units_are_ranked_by_it():
    kind = vl.Observation.vector(["dollars", "years"], unit="its own unit", noun="rows")
    gower = kind.with_gower(torch.tensor([[0.0, 0.0], [100_000.0, 10.0]]))  # weights 1/200,000 and 1/20
    changes = np.array([[4_000.0, 2.0]])
    effects = xr.Dataset(
        {
            f"effect_map{end}": (("latent", "feature"), changes * by)
            for end, by in (("", 1), ("_low", 0.5), ("_high", 2))
        }
    )
    latents = Latents([0], np.array([True]), True)
    rows = top_features(effects, gower, latents)[0]["rows"]
    assert [(row["name"], row["value"], row["share"]) for row in rows] == [
        ("years", "2.0", "100.0"),
        ("dollars", "4,000", "20.0"),  # 0.02 beside 0.1
    ]
    assert [row["name"] for row in top_features(effects, kind, latents)[0]["rows"]] == ["dollars", "years"]
    matrix = feature_changes(effects, gower)
    assert matrix.title == "Mean absolute change (Gower)"
    assert matrix.values[:, 0].tolist() == pytest.approx([0.02, 0.1])
    assert matrix.ends is not None
    assert matrix.ends[:, 0].tolist() == [pytest.approx([0.01, 0.04]), pytest.approx([0.05, 0.2])]
