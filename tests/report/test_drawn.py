"""Series as curves and volumes as slices: what is drawn lies where the values are, and is spoken of as what it is."""

import base64
import re

import numpy as np
import pytest
import torch

import vaelens as vl
from vaelens.report.drawn import Drawn, colours, drawn_maps, slices

SERIES = vl.Observation.series((2, 3), channels=["ecg", "breath"], unit="mV")
VOLUME = vl.Observation.volume((2, 8, 2, 2))


def svg_of(uri):
    assert uri.startswith("data:image/svg+xml;base64,")
    return base64.b64decode(uri.split(",")[1]).decode()


def test_a_curve_goes_through_its_values():
    drawn = Drawn.of(SERIES, np.array([[[-1.0, 0.0, 1.0], [1.0, 1.0, 1.0]]]))
    assert (drawn.low, drawn.high) == (-1.0, 1.0)
    values = np.array([[[[-1.0, 0.0, 1.0], [1.0, 1.0, 1.0]]]])  # a row, a column
    # 120 wide, 72 high, the highest value at the top.
    assert re.findall(r'points="([^"]*)"', svg_of(drawn.rows(values))) == [
        "0.0,72.0 60.0,36.0 120.0,0.0",
        "0.0,0.0 60.0,0.0 120.0,0.0",
    ]
    assert colours(SERIES) == "ecg blue, breath orange"
    assert colours(vl.Observation.series((8, 3))).endswith("channel 5 red; 2 more channels are not drawn")


def test_of_a_long_series_the_means_of_stretches_are_drawn():
    long = vl.Observation.series((1, 480))
    values = np.tile([0.0, 2.0], 240)[None, None, None]
    (points,) = re.findall(r'points="([^"]*)"', svg_of(Drawn(long, 0.0, 2.0).rows(values)))
    assert len(points.split()) == 240
    assert {point.split(",")[1] for point in points.split()} == {"36.0"}


def test_maps_share_one_scale_from_zero():
    changes = np.zeros((2, 2, 3))
    changes[0, 1, 2] = 4.0
    changes[1] = 1.0
    maps, most = drawn_maps(changes, SERIES)
    assert most == 4.0
    assert re.findall(r'points="([^"]*)"', svg_of(maps[1]))[0] == "0.0,54.0 60.0,54.0 120.0,54.0"
    assert slices(VOLUME) == [1, 3, 5, 7]
    assert slices(vl.Observation.volume((1, 2, 4, 4))) == [0, 1]
    changes = np.zeros((1, *VOLUME.shape))
    changes[0, 0, 3], changes[0, :, 2] = 2.0, 50.0  # slice 2 is not drawn; slice 3 has a mean of 1 over channels
    maps, most = drawn_maps(changes, VOLUME)
    assert (len(maps), most) == (1, 1.0)


@pytest.mark.parametrize(("shape", "noun"), [((2, 12), "series"), ((1, 3, 6, 6), "volumes")])
def test_a_report_draws_them_and_progress_counts_them(shape, noun, tmp_path, capsys):
    x = torch.randn(24, *shape, generator=torch.Generator().manual_seed(0))
    observation = vl.Observation.of_shape(shape)
    model = vl.build_model("vq-vae", observation, latent_dim=4, codes=4)
    with torch.no_grad():
        model.quantiser.codebook.copy_(model.encoder(x[:2]).movedim(1, -1).reshape(-1, 4)[:4])
    ds = vl.ArrayDataset(x, observation=observation)
    analysis = vl.analyse(vl.Lens(model), ds, n=12, only=["latent", "swap", "pictures"])
    told = capsys.readouterr().err
    assert f"latent: 12 {noun}" in told
    assert "image" not in told
    seen = analysis.effects["pictures"]
    taken = ds.images_at(ds.draw(12, 0))
    np.testing.assert_allclose(seen["original"], taken if noun == "series" else taken[:, :, 1])
    assert seen.attrs.get("slice") == (None if noun == "series" else 1)
    page = analysis.report(tmp_path / "report.html").read_text()
    text = re.sub(r"<(script|style)\b.*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL)
    assert not re.search(r"\bimages?\b|\bpixels?\b", text)
    assert ("data:image/svg+xml;base64" in page) == (noun == "series")
    assert f"the first 12 of the 12 {noun} analysed" in text
    assert ("each panel goes from 0 to" in text) == (noun == "series")
    assert ("in slices 0, 1, 2 along depth" in text) == (noun == "volumes")
    for figure in ("reconstructions", "traversals"):
        with pytest.raises(vl.VaelensError, match=f"{figure} are of images, and the observations are {noun}"):
            analysis.figure(figure)
