import numpy as np
import pytest

from vaelens.report import figures, palette
from vaelens.report.latents import latents_of
from vaelens.report.matrices import associations, label_associations


def test_bars_are_in_the_order_of_posterior_ces_with_their_intervals(analysis_of):
    effects = analysis_of(active=[True, True, False]).effects
    plot = figures.strengths(effects["latent"], effects["recoded"], latents_of(effects)).plot
    posterior, ranged, information, removal, per_image, over_pixels, over_latents = plot.data
    assert list(posterior.y) == [3.5, 2.0, 1.0]
    assert list(posterior.error_y.array) == list(posterior.error_y.arrayminus) == [0.125] * 3
    assert list(posterior.marker.color) == [palette.ACTIVE, palette.INACTIVE, palette.ACTIVE]
    assert list(plot.layout.xaxis.ticktext) == ["1", "2*", "0"]
    assert [list(panel.y) for panel in (ranged, information)] == [[7.0, 4.0, 2.0], [2.0, 0.001, 1.0]]
    assert list(removal.y) == [20.0, 0.01, 10.0]
    np.testing.assert_allclose(per_image.y, [0.7, 0.4, 0.2])
    assert list(over_pixels.y) == list(over_latents.y) == [0.35, 0.2, 0.1]
    assert [line.y0 for line in plot.layout.shapes] == [0.125]  # all latents replaced at once


def test_what_was_not_measured_has_no_panel(analysis_of):
    effects = analysis_of(earlier=True).effects
    plot = figures.strengths(effects["latent"], None, latents_of(effects)).plot
    assert len(plot.data) == 3
    assert not plot.layout.shapes
    effects = analysis_of(ces=[np.nan] * 3).effects
    assert len(figures.strengths(effects["latent"], effects["recoded"], latents_of(effects)).plot.data) == 2


def test_an_infinite_score_has_no_bar_about_it(analysis_of):
    effects = analysis_of(active=[True, True, False]).effects
    for name in ("ces", "ces_low", "ces_high"):
        effects["latent"][name] = effects["latent"][name] * np.inf
    plot = figures.strengths(effects["latent"], effects["recoded"], latents_of(effects)).plot
    assert np.isinf(plot.data[1].y).all()
    assert np.isnan(plot.data[1].error_y.array).all()
    assert np.isfinite(plot.data[0].error_y.array).all()


def test_modes_are_points_beside_each_other(analysis_of):
    effects = analysis_of().effects
    effects["modes"]["ces"].loc[{"mode": "posterior"}] = [1.0, 2.0, 3.0]
    plot = figures.strengths_by_mode(effects["modes"], latents_of(effects)).plot
    assert [trace.name for trace in plot.data] == ["range", "posterior"]
    assert list(plot.data[1].y) == [2.0, 3.0, 1.0]
    assert (np.asarray(plot.data[0].x) < np.asarray(plot.data[1].x)).all()


def heat_maps(effects):
    matrices = associations(effects["input"], effects.get("importance"))
    return figures.heat_maps(matrices, latents_of(effects)).plot


def test_both_matrices_are_factor_by_latent_with_the_level_of_random_images_below(analysis_of):
    changed, importance = heat_maps(analysis_of().effects).data
    assert np.asarray(changed.z).tolist() == [[1.0, 1.5, 0.5], [2.5, 3.0, 2.0], [4.0, 4.0, 4.0]]
    assert np.asarray(importance.z).tolist() == [[0.2, 0.4, 0.0], [0.3, 0.5, 0.1]]
    assert list(changed.y) == ["shape", "scale", "a random pair"]
    assert list(importance.y) == ["shape", "scale"]
    assert np.asarray(changed.customdata)[0, 0].tolist() == pytest.approx([0.9, 1.1])
    assert (changed.zmin, changed.zmax, importance.zmax) == (0, 4.0, 0.5)


def test_manipulations_are_one_matrix(analysis_of):
    (changed,) = heat_maps(analysis_of(factors=None).effects).data
    assert list(changed.y) == ["blur", "shift", "a random pair"]


def test_without_a_variance_changes_are_in_standard_deviations_of_the_code(analysis_of):
    plot = heat_maps(analysis_of(swaps=[[1.0, 2.0]], moved=[[1.0, 1.5, 0.5], [2.5, 3.0, 2.0]]).effects)
    assert plot.layout.annotations[0].text == "Change of the latent (standard deviations)"
    assert list(plot.data[0].y) == ["shape", "scale"]
    assert np.asarray(plot.data[0].z)[0].tolist() == [8.5, 9.5, 9.0]


def test_labels_stand_with_their_measure_and_signs_have_colours_of_their_own(analysis_of):
    effects = analysis_of().effects
    effects["labels"]["association"].values[0, 0] = -0.75
    (cells,) = figures.heat_maps([label_associations(effects["labels"])], latents_of(effects)).plot.data
    assert list(cells.y) == ["shape (η²)", "scale (ρ)"]
    assert np.asarray(cells.z)[0].tolist() == [0.1, 0.2, -0.75]
    assert (cells.zmin, cells.zmax) == (-0.75, 0.75)


@pytest.mark.parametrize(("latents", "written", "rows"), [(3, True, 1), (14, True, 2), (40, False, 2)])
def test_wide_matrices_go_below_each_other_and_lose_their_numbers(analysis_of, latents, written, rows):
    plot = heat_maps(analysis_of(ces=np.arange(latents) + 1.0).effects)
    assert bool(plot.data[0].texttemplate) is written
    assert plot.data[0].showscale is not written
    stacked = plot.layout.yaxis.domain != plot.layout.yaxis2.domain
    assert stacked is (rows == 2)


def test_recovered_fractions_stand_in_their_units_cells_relative_to_their_site(analysis_of):
    effects = analysis_of().effects["patching"]
    plot = figures.recovered_fractions(effects, ["encoder.0", "encoder.1", "latent", "decoder.0"]).plot
    code, image = (np.asarray(block.z, dtype=float) for block in plot.data)
    recovered = effects["recovered"].values
    np.testing.assert_allclose(code[0, :3], recovered[:3] / 0.1)
    np.testing.assert_allclose(code[2], recovered[3:67] / recovered[72])
    np.testing.assert_allclose(code[3, :6], recovered[67:73] / recovered[72])
    np.testing.assert_allclose(image[0, :3], recovered[73:76] / recovered[75])
    np.testing.assert_allclose(image[2, :4], recovered[76:] / 0.5)
    assert np.isnan(code).sum() == code.size - 73
    assert (plot.layout.coloraxis.cmin, plot.layout.coloraxis.cmax) == (-1, 1)
    assert plot.data[0].text[3][5] == "encoder.1 unit 69"
    assert plot.data[0].customdata[3][5][4] == recovered[72]  # pointing at a cell tells the fraction itself
    assert list(plot.layout.yaxis.ticktext) == ["encoder.0 (±0.100)", "encoder.1 (±0.447)", "+64"]


def test_only_the_sites_asked_for_are_shown(analysis_of):
    effects = analysis_of().effects["patching"]
    plot = figures.recovered_fractions(effects, ["encoder.0", "decoder.0"]).plot
    assert [list(axis.ticktext) for axis in (plot.layout.yaxis, plot.layout.yaxis2)] == [
        ["encoder.0 (±0.100)"],
        ["decoder.0 (±0.500)"],
    ]


def test_mediation_bars_add_to_one_and_carry_the_interval_of_the_indirect_part(analysis_of):
    effects = analysis_of().effects
    plot = figures.mediations(effects["mediation"], latents_of(effects)).plot
    assert [trace.name for trace in plot.data[:4]] == ["indirect", "interaction", "direct", "95 % interval of indirect"]
    np.testing.assert_allclose(sum(np.asarray(part.y) for part in plot.data[:3]), 1.0)
    np.testing.assert_allclose(plot.data[0].y, effects["mediation"]["indirect"].values[0, [1, 2, 0]])
    np.testing.assert_allclose(plot.data[3].error_y.array, 0.05)
    assert plot.layout.barmode == "relative"
    assert [note.text for note in plot.layout.annotations] == ["shape", "scale"]


def test_names_are_not_taken_for_markup(analysis_of):
    effects = analysis_of(factors=("<b>x</b>", "y")).effects
    matrix = heat_maps(effects)
    assert matrix.data[0].y[0] == "&lt;b&gt;x&lt;/b&gt;"
    bars = figures.mediations(effects["mediation"], latents_of(effects)).plot
    assert bars.layout.annotations[0].text == "&lt;b&gt;x&lt;/b&gt;"


def test_positions_lie_on_their_grid_with_the_intervals_of_ces(analysis_of):
    swap = analysis_of(swaps=[[1.0, 2.0, 3.0], [4.0, 5.0, 8.0]]).effects["swap"]
    plot = figures.position_maps(swap).plot
    ces, used, entropy = plot.data
    assert np.asarray(ces.z).tolist() == [[1.0, 2.0, 3.0], [4.0, 5.0, 8.0]]
    assert np.asarray(ces.customdata)[1, 2].tolist() == [7.75, 8.25]
    assert np.asarray(used.z).tolist() == [[1, 2, 3], [4, 5, 6]]
    np.testing.assert_allclose(np.asarray(entropy.z), np.log([[1, 2, 3], [4, 5, 6]]))
    assert (ces.zmin, ces.zmax, bool(ces.texttemplate)) == (0, 8.0, True)
    assert plot.layout.yaxis.autorange == "reversed"  # row 0 is above


def test_positions_that_lie_in_no_plane_are_one_row_and_many_lose_their_numbers(analysis_of):
    swap = analysis_of(swaps=np.ones((1, 20))).effects["swap"].drop_vars(["row", "column"])
    ces = figures.position_maps(swap).plot.data[0]
    assert np.asarray(ces.z).shape == (1, 20)
    assert not ces.texttemplate


def test_a_wide_grid_of_positions_fits_a_page_and_its_numbers_keep_apart(analysis_of):
    drawn = figures.position_maps(analysis_of(swaps=np.ones((32, 32))).effects["swap"])
    assert drawn.narrowest == 3 * 8 * 32
    assert (drawn.plot.layout.xaxis.dtick, drawn.plot.layout.yaxis.dtick) == (3, 2)  # cells of 8 × 10 pixels
    small = figures.position_maps(analysis_of(swaps=np.ones((2, 3))).effects["swap"]).plot.layout
    assert (small.xaxis.dtick, small.yaxis.dtick) == (1, 1)


def test_of_many_latents_every_fifth_is_named_below_and_all_at_the_pointer(analysis_of):
    effects = analysis_of(ces=np.arange(256, 0, -1.0)).effects
    drawn = figures.strengths(effects["latent"], effects["recoded"], latents_of(effects))
    assert list(drawn.plot.layout.xaxis.ticktext)[:3] == ["0", "5", "10"]
    assert list(drawn.plot.data[0].text) == [str(k) for k in range(256)]
    assert drawn.narrowest < 1500


def test_one_short_matrix_of_many_latents_is_drawn(analysis_of):
    effects = analysis_of(ces=np.arange(40) + 1.0, factors=("shape",), earlier=True).effects
    del effects["importance"]
    (changed,) = heat_maps(effects).data
    assert np.asarray(changed.z).shape == (1, 40)
