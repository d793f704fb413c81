"""Reports, figures and sentences of vectors speak of what the vectors are, and never of pixels."""

import re
from typing import Any

import pytest
import torch

import vaelens as vl


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
