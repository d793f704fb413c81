import json

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

import vaelens as vl


class LevelReader:
    """Reads how bright an image is, in three levels; it knows no other factor well enough."""

    factors, image_shape, accuracy = ("level",), (1, 8, 8), {"level": 0.9, "nothing": 0.3}

    def read(self, images):
        level = (images.mean(dim=(1, 2, 3)) * 3).clamp(0, 2.999).long()
        return {"level": torch.nn.functional.one_hot(level, 3).float()}


@pytest.fixture(scope="module")
def ds():
    rng = np.random.default_rng(0)
    factors = rng.integers(0, 3, size=(40, 2))
    images = (rng.random((40, 1, 8, 8)) + factors[:, :1, None, None]) / 3
    labels = pd.DataFrame(factors, columns=["level", "nothing"]).astype(float)
    labels.loc[5] = np.nan  # an image without labels
    return vl.ArrayDataset(images, labels)


@pytest.fixture(scope="module")
def lens():
    model = vl.build_model("vae", image_shape=(1, 8, 8), latent_dim=3)
    with torch.no_grad():
        model.get_submodule("encoder")[-1].weight.mul_(20)
    return vl.Lens(model)


@pytest.fixture(scope="module")
def analysis(lens, ds):
    return vl.analyse(lens, ds, n=40, seed=3, progress=False, reader=LevelReader())


def test_the_factors_that_latents_change_are_those_of_level_2(analysis, lens, ds):
    x, _ = ds.sample(40, seed=3)
    expected = vl.latent_effects(lens, x, over="factors", reader=LevelReader(), seed=3)
    read = analysis.effects["read"]
    for name in ("factor_effect", "specificity_normalised_active_mean", "specificity_low"):
        np.testing.assert_array_equal(read[name], expected[name])
    assert json.loads(read.attrs["reader_accuracy"]) == {"level": 0.9}
    assert json.loads(read.attrs["reader_left_out"]) == {"nothing": 0.3}
    row = analysis.scores.loc["specificity_normalised_factors"]
    assert row["made"] == "not computed: one factor alone is read"
    np.testing.assert_array_equal(row["value"], expected.specificity_normalised_active_mean)


def test_how_often_a_reconstruction_is_read_right_is_counted_where_there_is_a_label(analysis, lens, ds):
    x, labels = ds.sample(40, seed=3)
    known = labels[:, 0] >= 0
    assert not known.all()
    levels = LevelReader().read(lens.reconstruct(x))["level"].argmax(dim=1)
    expected = (levels == labels[:, 0])[known].double().mean()
    read = analysis.effects["read"]
    assert float(read.read_right.sel(factor="level")) == pytest.approx(float(expected))
    assert float(read.read_right_low[0]) <= float(expected) <= float(read.read_right_high[0])


def test_without_labels_it_is_not_known(lens):
    images = vl.ArrayDataset(np.random.default_rng(0).random((12, 1, 8, 8)))
    read = vl.analyse(lens, images, progress=False, reader=LevelReader()).effects["read"]
    assert np.isnan(read.read_right).all()
    assert np.isfinite(read.factor_effect).all()


def test_it_is_saved_with_the_rest(analysis, tmp_path):
    again = vl.Analysis.load(analysis.save(tmp_path / "kept"))
    xr.testing.assert_identical(again.effects["read"], analysis.effects["read"])


def test_a_reader_that_does_not_fit_is_refused_before_the_work(lens, ds):
    with pytest.raises(vl.VaelensError, match=r"make one with reader = vl\.factor_reader"):
        vl.analyse(lens, ds, reader="shape", progress=False)
    other = LevelReader()
    other.image_shape = (1, 16, 16)
    with pytest.raises(vl.VaelensError, match=r"the reader reads images of shape \(1, 16, 16\)"):
        vl.analyse(lens, ds, reader=other, progress=False)
