import json

import numpy as np
import pytest
import xarray as xr

from vaelens.report import figures
from vaelens.report.latents import latents_of
from vaelens.report.matrices import associations
from vaelens.report.reading import reader_trust, reading_sentence


@pytest.fixture
def with_reader(analysis_of):
    """An analysis by hand with a reader of "shape" alone, off which it reads a fraction of `right`."""

    def build(effect=(0.125, 0.5, 0.25), right=0.75, active=None, **others):
        analysis = analysis_of(active=active, **others)
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


def test_the_reader_is_introduced_with_how_far_it_can_be_trusted(with_reader):
    assert reader_trust(with_reader()) == (
        "The reader is right on 95.0 % (shape) of the dataset's images, and on a fraction of 0.75 [0.70, 0.80] (shape) "
        "of the reconstructions. It does not read scale well enough to be used."
    )
    assert "reconstructions" not in reader_trust(with_reader(right=np.nan))


def test_the_latent_that_changes_a_factor_most_is_named(with_reader):
    assert reading_sentence(with_reader()) == (
        "As a reader reads the image, in probability on average over the range: shape changes most with latent 1 "
        "(0.500 [0.490, 0.510])."
    )
    assert "with one of latents 1 and 0 (" in reading_sentence(with_reader(effect=[0.495, 0.5, 0.25]))
    assert "with latent 2" in reading_sentence(with_reader(active=[True, False, True]))
    assert "shape changes with latent 1 (" in reading_sentence(with_reader(active=[False, True, False]))


def test_a_factor_that_no_latent_changes_or_that_is_hardly_read_names_none(with_reader):
    assert reading_sentence(with_reader(effect=[0, 0, 0])).endswith("range: shape with no active latent.")
    assert reading_sentence(with_reader(right=0.3)).endswith("range: shape can hardly be read off reconstructions.")


def test_nothing_is_said_without_a_reader_or_of_alike_images(analysis_of, with_reader):
    assert reading_sentence(analysis_of()) is None
    alike = with_reader()
    alike.effects["latent"].attrs["reference_distance"] = 0.0
    assert reading_sentence(alike) is None


def test_what_is_read_is_a_matrix_below_the_others_with_a_row_for_every_factor(with_reader):
    effects = with_reader().effects
    matrices = associations(effects["input"], effects["importance"], effects["read"])
    plot = figures.heat_maps(matrices, latents_of(effects)).plot
    *_, read = plot.data
    assert list(read.y) == ["shape", "scale"]
    values = np.asarray(read.z)
    np.testing.assert_array_equal(values[0], [0.5, 0.25, 0.125])  # in the order of posterior CES
    assert np.isnan(values[1]).all()
    assert plot.layout.yaxis3.domain[1] < plot.layout.yaxis2.domain[0] < plot.layout.yaxis.domain[0]
