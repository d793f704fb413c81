import numpy as np
import pytest

from vaelens.report import figures, palette
from vaelens.report.latents import latents_of


def test_bars_are_in_the_order_of_ces_with_their_intervals(made):
    effects = made(active=[True, True, False]).effects
    plot = figures.strengths(effects["latent"], effects["recoded"], latents_of(effects)).plot
    ces = plot.data[0]
    assert list(ces.y) == [7.0, 4.0, 2.0]
    assert list(ces.error_y.array) == list(ces.error_y.arrayminus) == [0.25] * 3
    assert list(ces.marker.color) == [palette.ACTIVE, palette.INACTIVE, palette.ACTIVE]
    assert list(plot.layout.xaxis.ticktext) == ["1", "2*", "0"]
    assert [list(trace.y) for trace in plot.data[1:3]] == [[0.7, 0.4, 0.2], [3.5, 2.0, 1.0]]
    assert len(plot.data) == 6


def test_an_infinite_score_has_no_bar_about_it(made):
    effects = made(active=[True, True, False]).effects
    for name in ("ces_relative", "ces_relative_low", "ces_relative_high"):
        effects["latent"][name] = effects["latent"][name] * np.inf
    plot = figures.strengths(effects["latent"], effects["recoded"], latents_of(effects)).plot
    assert np.isinf(plot.data[1].y).all()
    assert np.isnan(plot.data[1].error_y.array).all()
    assert np.isfinite(plot.data[0].error_y.array).all()


def test_modes_are_points_beside_each_other(made):
    effects = made().effects
    effects["modes"]["ces"].loc[{"mode": "posterior"}] = [1.0, 2.0, 3.0]
    plot = figures.strengths_by_mode(effects["modes"], latents_of(effects)).plot
    assert [trace.name for trace in plot.data] == ["range", "posterior"]
    assert list(plot.data[1].y) == [2.0, 3.0, 1.0]
    assert (np.asarray(plot.data[0].x) < np.asarray(plot.data[1].x)).all()


def test_both_matrices_are_factor_by_latent(made):
    effects = made().effects
    changed, importance = figures.associations(effects["input"], latents_of(effects), effects["importance"]).plot.data
    assert np.asarray(changed.z).tolist() == [[1.0, 1.5, 0.5], [2.5, 3.0, 2.0]]
    assert np.asarray(importance.z).tolist() == [[0.2, 0.4, 0.0], [0.3, 0.5, 0.1]]
    assert list(changed.y) == list(importance.y) == ["shape", "scale"]
    assert np.asarray(changed.customdata)[0, 0].tolist() == pytest.approx([0.9, 1.1])
    assert (changed.zmin, changed.zmax, importance.zmax) == (0, 3.0, 0.5)


def test_manipulations_are_one_matrix(made):
    effects = made(factors=None).effects
    (changed,) = figures.associations(effects["input"], latents_of(effects), None).plot.data
    assert list(changed.y) == ["blur", "shift"]


@pytest.mark.parametrize(("latents", "written", "rows"), [(3, True, 1), (14, True, 2), (40, False, 2)])
def test_wide_matrices_go_below_each_other_and_lose_their_numbers(made, latents, written, rows):
    effects = made(ces=np.arange(latents) + 1.0).effects
    plot = figures.associations(effects["input"], latents_of(effects), effects["importance"]).plot
    assert bool(plot.data[0].texttemplate) is written
    assert plot.data[0].showscale is not written
    stacked = plot.layout.yaxis.domain != plot.layout.yaxis2.domain
    assert stacked is (rows == 2)


def test_recovered_fractions_stand_in_their_units_cells_on_a_scale_centred_at_0(made):
    effects = made().effects["patching"]
    plot = figures.recovered_fractions(effects).plot
    code, image = (np.asarray(one.z, dtype=float) for one in plot.data)
    recovered = effects["recovered"].values
    np.testing.assert_array_equal(code[0, :3], recovered[:3])
    np.testing.assert_array_equal(code[2], recovered[3:67])
    np.testing.assert_array_equal(code[3, :6], recovered[67:73])
    np.testing.assert_array_equal(image[0, :3], recovered[73:76])
    np.testing.assert_array_equal(image[2, :4], recovered[76:])
    assert np.isnan(code).sum() == code.size - 73
    assert (plot.layout.coloraxis.cmin, plot.layout.coloraxis.cmax) == (-0.5, 0.5)
    assert plot.data[0].text[3][5] == "encoder.1 unit 69"
    assert list(plot.layout.yaxis.ticktext) == ["encoder.0", "encoder.1", "+64"]


def test_fractions_beyond_one_do_not_stretch_the_scale(made):
    effects = made().effects["patching"]
    effects["recovered"] = effects["recovered"] * 100
    assert figures.recovered_fractions(effects).plot.layout.coloraxis.cmax == 1.0


def test_mediation_bars_add_to_one_and_carry_the_interval_of_the_indirect_part(made):
    effects = made().effects
    plot = figures.mediations(effects["mediation"], latents_of(effects)).plot
    assert [trace.name for trace in plot.data[:4]] == ["indirect", "interaction", "direct", "95 % interval of indirect"]
    np.testing.assert_allclose(sum(np.asarray(one.y) for one in plot.data[:3]), 1.0)
    np.testing.assert_allclose(plot.data[0].y, effects["mediation"]["indirect"].values[0, [1, 2, 0]])
    np.testing.assert_allclose(plot.data[3].error_y.array, 0.05)
    assert plot.layout.barmode == "relative"
    assert [note.text for note in plot.layout.annotations] == ["shape", "scale"]


def test_names_are_not_taken_for_markup(made):
    effects = made(factors=("<b>x</b>", "y")).effects
    matrix = figures.associations(effects["input"], latents_of(effects), effects["importance"]).plot
    assert matrix.data[0].y[0] == "&lt;b&gt;x&lt;/b&gt;"
    bars = figures.mediations(effects["mediation"], latents_of(effects)).plot
    assert bars.layout.annotations[0].text == "&lt;b&gt;x&lt;/b&gt;"


def test_positions_lie_on_their_grid_with_the_intervals_of_ces(made):
    swap = made(swaps=[[1.0, 2.0, 3.0], [4.0, 5.0, 8.0]]).effects["swap"]
    plot = figures.position_maps(swap).plot
    ces, used, entropy = plot.data
    assert np.asarray(ces.z).tolist() == [[1.0, 2.0, 3.0], [4.0, 5.0, 8.0]]
    assert np.asarray(ces.customdata)[1, 2].tolist() == [7.75, 8.25]
    assert np.asarray(used.z).tolist() == [[1, 2, 3], [4, 5, 6]]
    np.testing.assert_allclose(np.asarray(entropy.z), np.log([[1, 2, 3], [4, 5, 6]]))
    assert (ces.zmin, ces.zmax, bool(ces.texttemplate)) == (0, 8.0, True)
    assert plot.layout.yaxis.autorange == "reversed"  # row 0 is above


def test_positions_that_lie_in_no_plane_are_one_row_and_many_lose_their_numbers(made):
    swap = made(swaps=np.ones((1, 20))).effects["swap"].drop_vars(["row", "column"])
    ces = figures.position_maps(swap).plot.data[0]
    assert np.asarray(ces.z).shape == (1, 20)
    assert not ces.texttemplate


def test_a_wide_grid_of_positions_fits_a_page_and_its_numbers_keep_apart(made):
    drawn = figures.position_maps(made(swaps=np.ones((32, 32))).effects["swap"])
    assert drawn.narrowest == 3 * 8 * 32
    assert (drawn.plot.layout.xaxis.dtick, drawn.plot.layout.yaxis.dtick) == (3, 2)  # cells of 8 × 10 pixels
    small = figures.position_maps(made(swaps=np.ones((2, 3))).effects["swap"]).plot.layout
    assert (small.xaxis.dtick, small.yaxis.dtick) == (1, 1)


def test_of_many_latents_every_fifth_is_named_below_and_all_at_the_pointer(made):
    effects = made(ces=np.arange(256, 0, -1.0)).effects
    drawn = figures.strengths(effects["latent"], effects["recoded"], latents_of(effects))
    assert list(drawn.plot.layout.xaxis.ticktext)[:3] == ["0", "5", "10"]
    assert list(drawn.plot.data[0].text) == [str(k) for k in range(256)]
    assert drawn.narrowest < 1500


def test_one_short_matrix_of_many_latents_is_drawn(made):
    effects = made(ces=np.arange(40) + 1.0, factors=("shape",)).effects
    (changed,) = figures.associations(effects["input"], latents_of(effects), None).plot.data
    assert np.asarray(changed.z).shape == (1, 40)
