"""Modularity of responses that are written down, in both forms, with its interval and its level by chance."""

import numpy as np
import pytest
import xarray as xr

from vaelens.errors import VaelensError
from vaelens.metrics.response_modularity import chance_modularity, modularity_interval, response_modularity


def responses(rows, active=None):
    flags = [True] * len(rows) if active is None else active
    return xr.Dataset({"response": (("latent", "unit"), np.array(rows, float)), "active": (("latent",), flags)})


def test_modularity_of_responses_on_paper():
    assert response_modularity(responses([[1, 0, 0, 0], [0, 1, 0, 0]])) == (pytest.approx(2 / 3), 2)
    assert response_modularity(responses([[1, 2, 3], [2, 4, 6]])) == (pytest.approx(0), 2)
    assert response_modularity(responses([[1, 2, 3], [3, 2, 1]])) == (pytest.approx(0), 2)  # the sign does not count
    assert response_modularity(responses([[1, 1, 0, 0], [1, 0, 1, 0]])) == (pytest.approx(1), 2)


def test_latents_without_response_or_activity_are_not_counted():
    rows = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [5, 6, 7, 1]]
    assert response_modularity(responses(rows, [True, True, True, False])) == (pytest.approx(2 / 3), 2)
    value, latents = response_modularity(responses(rows, [True, False, True, False]))
    assert np.isnan(value)
    assert latents == 1
    value, latents = response_modularity(responses(np.zeros((3, 0))))
    assert np.isnan(value)
    assert latents == 0


def test_modularity_does_not_depend_on_the_order_of_latents_or_units():
    rows = np.random.default_rng(0).random((4, 9))
    value = response_modularity(responses(rows))[0]
    assert response_modularity(responses(rows[[2, 0, 3, 1]]))[0] == pytest.approx(value)
    assert response_modularity(responses(rows[:, ::-1]))[0] == pytest.approx(value)
    assert response_modularity(responses(rows * np.array([[1], [2], [3], [4]])))[0] == pytest.approx(value)


def in_parts(parts, site=None):
    """Responses whose parts of the images are given, (part, latent, unit)."""
    parts = np.asarray(parts, float)
    flat = responses(parts.mean(axis=0)).assign(response_part=(("part", "latent", "unit"), parts))
    names = ["decoder.0"] * parts.shape[2] if site is None else site
    return flat.assign_coords(site=("unit", names)).assign_attrs(images=len(parts))


def test_parts_that_agree_leave_no_doubt_about_modularity():
    rows = np.random.default_rng(0).random((3, 20))
    same = in_parts(np.repeat(rows[None], 16, axis=0))
    np.testing.assert_allclose(modularity_interval(same), response_modularity(same)[0])


def test_the_interval_of_modularity_holds_it_and_narrows_as_parts_agree():
    rng = np.random.default_rng(0)
    rows, noise = rng.random((3, 20)), rng.normal(size=(16, 3, 20))
    widths = []
    for scale in (0.01, 0.1):
        noisy = in_parts(rows + scale * noise)
        low, high = modularity_interval(noisy)
        assert 0 <= low < response_modularity(noisy)[0] < high <= 1
        widths.append(high - low)
    assert widths[0] < widths[1]


def test_few_parts_give_no_interval():
    assert np.isnan(modularity_interval(in_parts(np.random.default_rng(0).random((7, 3, 20))))).all()


def test_by_chance_latents_that_drive_the_same_units_look_unrelated():
    row = np.random.default_rng(0).normal(size=400)
    alike = in_parts(np.repeat([[row, row]], 16, axis=0))
    assert response_modularity(alike)[0] == pytest.approx(0, abs=1e-9)
    assert chance_modularity(alike) == pytest.approx(1 - np.sqrt(2 / np.pi / 400), abs=0.03)  # E|ρ| of independent rows


def test_sites_of_different_scale_are_alike_by_chance():
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.random((2, 50)), 100 + rng.random((2, 50))], axis=1)
    scales = in_parts(np.repeat(rows[None], 16, axis=0), site=["decoder.0"] * 50 + ["decoder.1"] * 50)
    assert chance_modularity(scales) < 1e-3  # what is at a site stays there


def spread_over(responses, spread, parts=None):
    """The same responses with the spread of each unit, and of each part if the parts differ."""
    spread = np.asarray(spread, float)
    flat = responses.assign(unit_spread=("unit", spread))
    if "part" in responses.dims:
        parts = np.tile(spread, (responses.sizes["part"], 1)) if parts is None else parts
        flat = flat.assign(unit_spread_part=(("part", "unit"), parts))
    return flat if "site" in flat.coords else flat.assign_coords(site=("unit", ["decoder.0"] * len(spread)))


def test_the_normalised_form_on_paper():
    rows = responses([[2, 0, 3, 9], [2, 4, 0, 1]])
    # In units of their spreads (1, 0, 3, 9) and (1, 2, 0, 1): cosine (1 + 9) / (√91 √6). The last unit has none.
    value, latents = response_modularity(spread_over(rows, [2, 2, 1, 1]), "normalised")
    assert value == pytest.approx(1 - 10 / np.sqrt(91 * 6))
    assert latents == 2
    value, _ = response_modularity(spread_over(rows, [2, 2, 1, 0]), "normalised")
    assert value == pytest.approx(1 - 1 / np.sqrt(10 * 5))


def test_sites_count_alike_whatever_their_width():
    rows = responses([[1, 0, 1, 1, 1], [0, 1, 1, 1, 1]]).assign_coords(site=("unit", ["a", "a", "b", "b", "b"]))
    assert response_modularity(spread_over(rows, np.ones(5)), "normalised") == (pytest.approx(1 / 2), 2)
    # At a site where one latent alone moves anything there is nothing to compare.
    rows["response"][1, 2:] = 0
    assert response_modularity(spread_over(rows, np.ones(5)), "normalised") == (pytest.approx(1), 2)


def test_the_normalised_form_leaves_out_what_has_no_effect():
    rows = [[1, 0, 0], [1, 1, 0], [0, 0, 5], [7, 7, 7]]
    flat = spread_over(responses(rows, [True, True, True, False]), [1, 1, 0])
    assert response_modularity(flat, "normalised") == (pytest.approx(1 - 1 / np.sqrt(2)), 2)
    value, latents = response_modularity(spread_over(responses(rows), [0, 0, 0]), "normalised")
    assert np.isnan(value)
    assert latents == 0
    value, latents = response_modularity(spread_over(responses(np.zeros((3, 0))), []), "normalised")
    assert np.isnan(value)
    assert latents == 0


def test_the_normalised_interval_takes_each_halfs_own_spread():
    rng = np.random.default_rng(0)
    rows = rng.random((3, 20)) + 0.02 * rng.random((16, 3, 20))
    fixed = spread_over(in_parts(rows), np.ones(20))
    low, high = modularity_interval(fixed, form="normalised")
    value = response_modularity(fixed, "normalised")[0]
    assert 0 <= low < value < high <= 1
    uneven = spread_over(in_parts(rows), np.ones(20), parts=rng.gamma(2, 0.5, (16, 20)))
    wider = modularity_interval(uneven, form="normalised")
    assert wider[1] - wider[0] > 2 * (high - low)
    same = spread_over(in_parts(np.repeat(rows[:1], 16, axis=0)), np.ones(20))
    np.testing.assert_allclose(
        modularity_interval(same, form="normalised"), response_modularity(same, "normalised")[0], atol=1e-12
    )


def test_chance_of_the_normalised_form_shuffles_the_units_that_images_move():
    # Two latents with one unit each of 10 that are moved: by chance they share it one time in ten.
    rows = np.zeros((2, 12))
    rows[:, 3] = 5
    rows[:, 10:] = 100
    alike = spread_over(in_parts(np.repeat(rows[None], 16, axis=0)), [*range(1, 11), 0, 0])
    assert response_modularity(alike, "normalised")[0] == pytest.approx(0, abs=1e-12)
    chances = [chance_modularity(alike, seed, "normalised") for seed in range(50)]
    assert np.mean(chances) == pytest.approx(0.9, abs=4 * np.sqrt(0.09 / 1000))


def test_a_form_needs_its_name_and_its_spreads():
    flat = responses(np.eye(3))
    with pytest.raises(VaelensError, match="unknown form of circuit modularity 'publshed'; known: normalised, paper"):
        response_modularity(flat, "publshed")
    for function in (response_modularity, chance_modularity):
        with pytest.raises(VaelensError, match=r"no unit_spread, .*with_unit_spread\(lens, x, responses\)"):
            function(flat, form="normalised")
