import numpy as np
import pytest
import xarray as xr

from vaelens.report.latents import latents_of
from vaelens.report.ranking import (
    Estimate,
    by_strength,
    estimates,
    front,
    grid_of,
    ordered,
    outcomes,
    position_names,
    told_from_zero,
    unit_names,
)


def estimate(value, half=0.5):
    return Estimate(f"of {value}", value, value - half, value + half)


def test_the_front_holds_what_overlaps_the_best_largest_first():
    ranked = front([estimate(1.0), estimate(2.2), estimate(3.0), estimate(2.0)])
    assert ranked.best.value == 3.0
    assert [rival.value for rival in ranked.tied] == [2.2, 2.0]


def test_a_best_set_takes_the_place_of_overlap():
    candidates = [Estimate("a", 3.0, 2.0, 4.0, True), Estimate("b", 2.9, 2.0, 4.0, False)]
    assert front(candidates).members == (candidates[0],)
    both = [candidates[0], Estimate("c", 2.0, 1.9, 2.1, True)]
    assert [member.name for member in front(both).members] == ["a", "c"]


def test_what_is_told_from_zero_has_its_whole_interval_above():
    assert told_from_zero(Estimate("a", 1.0, 0.1, 2.0))
    assert not told_from_zero(Estimate("a", 1.0, -0.1, 2.0))
    assert told_from_zero(Estimate("a", 1.0, float("nan"), float("nan")))
    assert not told_from_zero(Estimate("a", float("nan"), float("nan"), float("nan")))


def test_there_is_no_front_of_nothing():
    assert front([]) is None
    assert front([Estimate("unknown", float("nan"), 0.0, 1.0)]) is None


def test_estimates_keep_their_interval():
    dataset = xr.Dataset({"a": ("k", [1.0, 2.0]), "a_low": ("k", [0.5, 1.5]), "a_high": ("k", [1.25, 2.75])})
    assert estimates(dataset, "a", ["x", "y"]) == [Estimate("x", 1.0, 0.5, 1.25), Estimate("y", 2.0, 1.5, 2.75)]
    dataset["a_best"] = ("k", [False, True])
    assert [estimate.may_be_best for estimate in estimates(dataset, "a", ["x", "y"])] == [False, True]


def test_latents_are_ordered_by_posterior_ces_with_nan_last_and_inactive_ones_starred(analysis_of):
    latent = analysis_of(ces=[2.0, np.nan, 4.0, 2.0], active=[True, False, True, False]).effects["latent"]
    assert by_strength(latent, "ces_posterior") == [2, 0, 3, 1]
    latents = latents_of({"latent": latent})
    assert latents.names == ["2", "0", "3*", "1*"]
    assert latents.any_inactive


def test_latents_that_were_not_measured_stand_as_they_are_numbered(analysis_of):
    effects = analysis_of(active=[True, False, True]).effects
    del effects["latent"]
    latents = latents_of(effects)
    assert (latents.names, latents.any_inactive, latents.measured) == (["0", "1", "2"], False, False)
    assert len(latents_of({"patching": effects["patching"]})) == 0


@pytest.mark.parametrize("recorded", [["a.b: c.0: code"], "a.b: c.0: code"])
def test_outcomes_are_read_from_the_last_colon(recorded):
    assert outcomes(xr.Dataset(attrs={"outcomes": recorded})) == {"a.b: c.0": "code"}


def test_units_are_called_by_site_and_index():
    effects = xr.Dataset(coords={"site": ("unit", ["latent", "decoder.2"]), "index": ("unit", [3, 17])})
    assert unit_names(effects) == ["latent 3", "decoder.2 unit 17"]


def test_positions_are_called_by_row_and_column_where_they_have_both(analysis_of):
    swap = analysis_of(swaps=[[1.0, 2.0, 3.0], [4.0, 5.0, 8.0]]).effects["swap"]
    assert grid_of(swap) == (2, 3)
    assert position_names(swap)[2:4] == ["position (0, 2)", "position (1, 0)"]
    line = swap.drop_vars(["row", "column"])
    assert grid_of(line) == (1, 6)
    assert position_names(line)[5] == "position 5"


def test_values_and_the_ends_of_their_intervals_in_an_order(analysis_of):
    latent = analysis_of(ces=[1.0, 2.0, 3.0]).effects["latent"]
    assert [ends.tolist() for ends in ordered(latent, "ces", [2, 0])] == [[3.0, 1.0], [2.75, 0.75], [3.25, 1.25]]
