import json

import numpy as np
import pytest
import xarray as xr

from vaelens.report import figures, sentences
from vaelens.report.latents import latents_of


@pytest.fixture
def with_reader(made):
    """An analysis by hand with a reader of "shape" alone, off which it reads a fraction of `right`."""

    def build(effect=(0.125, 0.5, 0.25), right=0.75, active=None, **others):
        analysis = made(active=active, **others)
        effect = np.array(effect)[:, None]
        variables = {"factor_effect": (("latent", "factor"), effect)}
        variables |= {
            f"factor_effect_{end}": (("latent", "factor"), effect + k) for end, k in (("low", -0.01), ("high", 0.01))
        }
        variables |= {
            f"read_right{end}": (("factor",), [right + k]) for end, k in (("", 0), ("_low", -0.05), ("_high", 0.05))
        }
        attributes = {"images": 16, "reader_accuracy": json.dumps({"shape": 0.95}), "reader_left_out": '{"scale": 0.4}'}
        coords = {"latent": np.arange(len(effect)), "factor": ["shape"]}
        analysis.effects["read"] = xr.Dataset(variables, coords, attributes)
        return analysis

    return build


def about(analysis, start):
    (found,) = [sentence for sentence in sentences(analysis) if sentence.startswith(start)]
    return found


def test_the_reader_is_introduced_with_how_far_it_can_be_trusted(with_reader):
    assert about(with_reader(), "Which factors") == (
        "Which factors a latent changes is read off the images by a reader that is right on 95.0% (shape) of the "
        "dataset's images, and on a fraction of 0.75 [0.70, 0.80] (shape) of this model's reconstructions. It does "
        "not read scale well enough to be used."
    )
    assert "Off reconstructions it hardly reads shape" in about(with_reader(right=0.3), "Which factors")
    assert "reconstructions" not in about(with_reader(right=np.nan), "Which factors")


def test_the_latent_that_changes_a_factor_most_is_named(with_reader):
    assert about(with_reader(), "What is read as shape") == (
        "What is read as shape changes most with latent 1: by 0.500 [0.490, 0.510] in probability on average over the "
        "range."
    )
    tied = about(with_reader(effect=[0.495, 0.5, 0.25]), "What is read as shape")
    assert "It can't be told apart from latent 0" in tied
    inactive = about(with_reader(active=[True, False, True]), "What is read as shape")
    assert "with latent 2" in inactive


def test_a_factor_that_no_latent_changes_is_said_so(with_reader):
    assert "No active latent changes what is read as shape." in sentences(with_reader(effect=[0, 0, 0]))


def test_nothing_is_said_without_a_reader(made):
    assert not any("read" in sentence.split() for sentence in sentences(made()))


def test_what_is_read_is_a_matrix_below_the_others_with_a_row_for_every_factor(with_reader):
    effects = with_reader().effects
    plot = figures.associations(effects["input"], latents_of(effects), effects["importance"], effects["read"]).plot
    *_, read = plot.data
    assert list(read.y) == ["shape", "scale"]
    values = np.asarray(read.z)
    np.testing.assert_array_equal(values[0], [0.5, 0.25, 0.125])  # in the order of CES
    assert np.isnan(values[1]).all()
    assert plot.layout.yaxis3.domain[1] < plot.layout.yaxis2.domain[0] < plot.layout.yaxis.domain[0]
