"""Figures and tables for papers, of an analysis made by hand."""

import itertools
import sys

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from vaelens.errors import VaelensError
from vaelens.report import palette
from vaelens.report.paper.figures import _FIGURES as FIGURES

SWAPS = [[1.0, 2.0, 3.0], [4.0, 5.0, 8.0]]


def texts_of(figure):
    """What is drawn of a figure's texts: each with the box that it takes, in pixels."""
    drawn, draw = [], Text.draw

    def recorded(self, renderer, *args, **options):
        if self.get_visible() and self.get_text().strip():
            drawn.append((self.get_text(), self.get_window_extent(renderer)))
        return draw(self, renderer, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Text, "draw", recorded)
        figure.draw(FigureCanvasAgg(figure).get_renderer())
    return drawn


def collisions(figure):
    """Pairs of texts that run into each other by half a pixel or more, and texts that are cut off."""
    texts = texts_of(figure)
    cut = [
        text
        for text, box in texts
        if min(box.x0, box.y0) < -1 or box.x1 > figure.bbox.width + 1 or box.y1 > figure.bbox.height + 1
    ]
    together = [
        (one, other)
        for (one, a), (other, b) in itertools.combinations(texts, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 0.5 and min(a.y1, b.y1) - max(a.y0, b.y0) > 0.5
    ]
    return cut + together


def bars(axis):
    return [container for container in axis.containers if hasattr(container, "datavalues")]


def test_bars_are_in_the_order_of_posterior_ces_with_their_intervals(analysis_of):
    figure = analysis_of(active=[True, True, False]).figure("strengths")
    titles = [axis.get_title() for axis in figure.axes]
    assert titles[:2] == ["Posterior CES (pixel-L2)", "CES of the range (pixel-L2)"]
    posterior, ranged = figure.axes[:2]
    assert bars(posterior)[0].datavalues.tolist() == [3.5, 2.0, 1.0]
    assert bars(ranged)[0].datavalues.tolist() == [7.0, 4.0, 2.0]
    assert [label.get_text() for label in posterior.get_xticklabels()] == ["1", "2*", "0"]
    shades = [mpl.colors.to_hex(bar.get_facecolor()) for bar in bars(posterior)[0]]
    assert shades == [palette.ACTIVE, palette.INACTIVE, palette.ACTIVE]
    (reach,) = posterior.collections[0].get_segments()[:1]
    assert reach[:, 1].tolist() == [3.375, 3.625]


def test_parts_of_an_effect_are_stacked_to_one(analysis_of):
    figure = analysis_of(indirect=[[0.5, 0.2, 0.9], [0.1, 0.3, 0.7]]).figure("mediation")
    for axis in figure.axes:
        indirect, interaction, direct = bars(axis)
        tops = [bar.get_y() + bar.get_height() for bar in direct]
        assert tops == pytest.approx([1.0] * 3)
        assert [bar.get_y() for bar in interaction] == pytest.approx(indirect.datavalues.tolist())


def test_negative_parts_are_stacked_below(analysis_of):
    figure = analysis_of(ces=[1.0], factors=None, indirect=[[-0.3]]).figure("mediation")
    indirect, interaction, direct = (container[0] for container in bars(figure.axes[0]))
    assert (indirect.get_y(), indirect.get_height()) == pytest.approx((0.0, -0.3))
    assert (interaction.get_y(), direct.get_y()) == pytest.approx((0.0, 0.1))


def test_matrices_have_their_numbers_in_their_cells(analysis_of):
    changed, importance = analysis_of().figure("associations").axes
    assert [text.get_text() for text in changed.texts[:3]] == ["1", "1.5", "0.5"]
    assert [text.get_text() for text in importance.texts[:3]] == ["0.20", "0.40", "0.00"]
    assert [label.get_text() for label in changed.get_yticklabels()] == ["shape", "scale", "a random pair"]


def test_swaps_stand_on_the_grid_of_positions(analysis_of):
    figure = analysis_of(swaps=SWAPS).figure("positions")
    assert np.asarray(figure.axes[0].images[0].get_array()).tolist() == SWAPS


@pytest.mark.parametrize("name", ["reconstructions", "traversals", "modes", "maps", "labels", "recovered"])
def test_a_figure_is_saved_in_three_formats_with_text_as_text(analysis_of, tmp_path, name):
    analysis = analysis_of(ces=np.linspace(1, 5, 6))
    figure = analysis.figure(name, width=3.25)
    for ending, head in (("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")):
        figure.savefig(tmp_path / f"a.{ending}", dpi=50)
        assert (tmp_path / f"a.{ending}").read_bytes().startswith(head)
    assert "<text" in (tmp_path / "a.svg").read_text()
    again = analysis.figure(name, width=3.25)
    again.savefig(tmp_path / "b.svg", dpi=50)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


TEN = {"ces": np.linspace(1, 5, 10), "active": np.arange(10) % 3 > 0, "factors": ("orientation", "floor_hue")}


@pytest.mark.parametrize(
    ("kind", "width"),
    [
        (TEN, 3.25),
        (TEN, 6.5),
        ({"ces": np.linspace(1, 5, 40), "active": np.arange(40) % 3 > 0}, 3.25),
        ({"swaps": np.arange(64.0).reshape(8, 8) + 0.123, "channels": 3}, 3.25),
    ],
    ids=["ten latents", "ten latents over two columns", "many latents", "codebook"],
)
def test_no_text_of_a_figure_is_cut_off_or_runs_into_another(analysis_of, kind, width):
    analysis = analysis_of(**kind)
    drawn = 0
    for name, (parts, _) in FIGURES.items():
        if set(parts) <= analysis.effects.keys():
            figure = analysis.figure(name, width=width)
            assert not collisions(figure), name
            assert figure.get_figwidth() == width
            drawn += 1
    assert drawn == len(FIGURES) - (0 if "swaps" in kind else 2)


def test_a_title_of_ones_own_stands_in_place_of_the_panels_or_above_all(analysis_of):
    figure = analysis_of().figure("strengths", width=3.25)
    figure.axes[0].set_title("Beta-VAE on sprites", size=8)
    assert [text for text, _ in texts_of(figure)].count("Beta-VAE on sprites") == 1
    assert "Posterior CES" not in " ".join(text for text, _ in texts_of(figure))
    for name in ("strengths", "modes", "mediation", "associations"):
        figure = analysis_of().figure(name, width=3.25)
        figure.suptitle("Beta-VAE on sprites", size=8)
        figure.draw_without_rendering()
        assert not collisions(figure), name


def test_titles_are_broken_and_names_turned_or_thinned_where_they_do_not_fit(analysis_of):
    narrow, wide = (analysis_of(ces=np.linspace(1, 5, 10)).figure("strengths", width) for width in (3.25, 6.5))
    assert narrow.axes[0].get_title() == "Posterior CES\n(pixel-L2)"
    assert wide.axes[0].get_title() == "Posterior CES (pixel-L2)"
    assert narrow.get_figheight() > wide.get_figheight()
    many = analysis_of(ces=np.linspace(1, 5, 100)).figure("modes", 3.25).axes[0].get_xticklabels()
    assert {label.get_rotation() for label in many} == {90}
    assert 10 < len(many) < 50


def test_numbers_that_do_not_fit_their_cells_are_left_to_the_colours(analysis_of):
    analysis = analysis_of(ces=np.linspace(1, 5, 10))
    narrow, wide = (analysis.figure("labels", width).axes for width in (3.25, 6.5))
    assert (len(narrow), len(narrow[0].texts)) == (2, 0)  # the matrix and its colour bar
    assert (len(wide), len(wide[0].texts)) == (1, 20)


def test_nothing_of_the_users_matplotlib_changes_and_nothing_is_shown(analysis_of):
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        before = dict(mpl.rcParams)
        figure = analysis_of().figure("modes")
        assert dict(mpl.rcParams) == before
    assert mpl.colors.to_hex(figure.axes[0].get_facecolor()) == "#ffffff"
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_names_are_no_formulas(analysis_of, tmp_path):
    analysis = analysis_of(factors=("$x_$", "a$"))
    for name in ("associations", "mediation", "labels"):
        analysis.figure(name).savefig(tmp_path / f"{name}.svg")
        assert "$x_$" in (tmp_path / f"{name}.svg").read_text()


def test_tables_have_each_estimate_and_the_ends_of_its_interval(analysis_of):
    analysis = analysis_of()
    latents = analysis.table("latents")
    assert latents.index.tolist() == [1, 2, 0]  # by posterior CES
    assert latents.loc[2, ["ces_low", "ces", "ces_high"]].tolist() == [3.75, 4.0, 4.25]
    changes = analysis.table("changes")
    assert changes.loc[("scale", 1), "latent_shift"] == 2.5
    assert analysis.table("mediation").loc[("shape", 0), "indirect"] == pytest.approx(0.2)
    units = analysis.table("units")
    assert units.index.names == ["site", "index"]
    assert len(units) == len(analysis.effects["patching"]["unit"])
    assert analysis_of(swaps=SWAPS).table("positions")["ces"].tolist() == [1, 2, 3, 4, 5, 8]
    pd.testing.assert_frame_equal(analysis.table("scores"), analysis.scores)


def test_columns_that_are_asked_for_come_with_their_intervals(analysis_of):
    analysis = analysis_of()
    asked = analysis.table("latents", columns=["active", "ces_posterior"])
    assert asked.columns.tolist() == ["active", "ces_posterior", "ces_posterior_low", "ces_posterior_high"]
    pd.testing.assert_frame_equal(asked, analysis.table("latents")[asked.columns])
    assert len(analysis.table("latents").columns) > 30
    with pytest.raises(VaelensError, match=r"unknown column 'ces_post'; known: .*; did you mean 'ces_posterior'\?"):
        analysis.table("latents", columns=["ces_post"])
    for columns in ("ces", [], 3):
        with pytest.raises(VaelensError, match=r"expected names, such as \['ces_posterior', 'information'\]"):
            analysis.table("latents", columns=columns)


def test_every_table_is_written_as_csv_and_latex(analysis_of, tmp_path):
    analysis = analysis_of(swaps=SWAPS)
    for name in ("scores", "latents", "modes", "outputs", "importance", "labels", "units", "positions"):
        frame = analysis.table(name)
        frame.to_csv(tmp_path / "table.csv")
        read = pd.read_csv(tmp_path / "table.csv", index_col=list(range(frame.index.nlevels)))
        assert len(read) == len(frame)
        assert r"\begin{tabular}" in frame.to_latex(escape=True)


def test_what_cannot_be_had_is_said(analysis_of, monkeypatch):
    analysis = analysis_of(factors=None)
    with pytest.raises(VaelensError, match=r"unknown figure 'strength'; known: .*; did you mean 'strengths'\?"):
        analysis.figure("strength")
    with pytest.raises(VaelensError, match=r"unknown table 'score'; known: .*; did you mean 'scores'\?"):
        analysis.table("score")
    with pytest.raises(VaelensError, match="needs the part 'labels', which this analysis has not"):
        analysis.figure("labels")
    with pytest.raises(
        VaelensError, match=r"needs the part 'importance', .*: the dataset has no factors; it has latent"
    ):
        analysis.table("importance")
    for width in (0.5, 100, "wide", True, float("nan")):
        with pytest.raises(VaelensError, match="expected inches between 1 and 40"):
            analysis.figure("maps", width)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(VaelensError, match=r"pip install '\.\[figures\]' in the clone of vaelens"):
        analysis.figure("maps")
