import base64
import io
import re
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from report.kinds import KINDS, SWAPS
from vaelens.errors import VaelensError
from vaelens.observation import Observation
from vaelens.observation_record import recorded
from vaelens.report import sentences, write_analysis
from vaelens.report.sentences import conditions
from vaelens.report.tables import score_rows


class Page(HTMLParser):
    """Every tag, and the text that is read."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.text, self._inside = [], "", []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside.append(tag)

    def handle_endtag(self, tag):
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data):
        if not {"script", "style"} & set(self._inside):
            self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(params=KINDS)
def page(request, written):
    """A written page of each kind of analysis."""
    return written(request.param)


def test_every_number_of_the_score_table_and_every_finding_is_on_the_page(analysis_of, tmp_path):
    analysis = analysis_of()
    text = Page(write_analysis(analysis, tmp_path / "report.html")).text
    for row in score_rows(analysis.scores):
        for column in ("score", "value", "interval", "better", "made"):
            assert row[column] in text
    for sentence in (*sentences(analysis), conditions(analysis)):
        assert sentence in text
    for known in ("ab" * 32, "cd" * 32, "torch 2.0", "12,345", "passed", "arXiv:2505.03530"):
        assert known in text


def test_nothing_is_loaded_from_elsewhere(page):
    for tag, attributes in Page(page).tags:
        for name in ("src", "srcset", "data", "poster", "action"):
            assert (attributes.get(name) or "data:").startswith("data:"), (tag, name)
        if "href" in attributes:
            assert tag == "a"
            assert attributes["href"].startswith(("#", "https://arxiv.org/", "data:text/csv;"))
    assert "url(" not in page.read_text(encoding="utf-8").split("<style>")[1].split("</style>")[0]


def test_the_plotting_library_is_there_once_and_the_page_is_small(page):
    text = page.read_text(encoding="utf-8")
    assert text.count("plotly.js v") == 1
    assert len(text) < 8e6


def test_the_page_can_be_read_aloud(page):
    read = Page(page)
    assert read.all("html")[0]["lang"] == "en"
    assert all(image["alt"] for image in read.all("img"))
    levels = [int(tag[1]) for tag, _ in read.tags if tag in ("h1", "h2", "h3")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    targets = {attributes.get("id") for _, attributes in read.tags}
    assert {link["href"][1:] for link in read.all("a") if link["href"].startswith("#")} <= targets


def test_names_are_text_not_markup(analysis_of, tmp_path):
    analysis = analysis_of(**KINDS["odd names"])
    path = write_analysis(analysis, tmp_path / "report.html")
    written, read = path.read_text(encoding="utf-8"), Page(path)
    assert "<h1>vae on &lt;b&gt;x&lt;/b&gt;</h1>" in written
    assert "alert(1)</script>" not in written
    assert not read.all("b")
    assert not read.all("i")
    assert "changing <i>&amp;</i> moves latent 2 most" in read.text


def test_without_factors_the_page_says_what_that_leaves_out(analysis_of, tmp_path):
    text = Page(write_analysis(analysis_of(factors=None), tmp_path / "report.html")).text
    assert "The dataset has no factors, which DCI and MIG need" in text
    assert "Manipulations and latents" in text


def test_inactive_latents_are_marked(analysis_of, tmp_path):
    text = Page(write_analysis(analysis_of(active=[True, True, False]), tmp_path / "report.html")).text
    assert "latent 2*" in text
    assert "A star marks an inactive latent" in text


def test_swaps_of_codes_have_a_section_and_later_figures_move_on(analysis_of, tmp_path):
    read = Page(write_analysis(analysis_of(swaps=SWAPS), tmp_path / "report.html"))
    assert {"href": "#codebook"} in read.all("a")
    assert "12 of 512 codes are in use on 40 images; their perplexity is 6.00." in read.text
    for k, start in ((6, "The grid of positions, 2 × 3."), (9, "The first matrix"), (12, "The effect of changing")):
        assert f"Figure {k}. {start}" in " ".join(read.text.split())
    for k, start in (
        (2, "Relative CES by what is changed"),
        (3, "Change of"),
        (4, "The active latent"),
        (5, "The units with"),
        (6, "One number"),
    ):
        assert f"Table {k}. {start}" in " ".join(read.text.split())
    maps = [image["alt"] for image in read.all("img") if "under swaps at" in image["alt"]]
    assert len(maps) == 6
    assert maps[5] == "Mean absolute change of each pixel under swaps at position (1, 2): CES 8.00 [7.75, 8.25]"
    assert sum("is swapped" in image["alt"] for image in read.all("img")) == 2


def test_of_a_wide_grid_the_positions_with_the_largest_effects_have_maps(analysis_of, tmp_path):
    analysis = analysis_of(swaps=np.arange(400.0).reshape(20, 20))
    read = Page(write_analysis(analysis, tmp_path / "report.html"))
    maps = [image["alt"] for image in read.all("img") if "under swaps at" in image["alt"]]
    where = [alt.partition(" at ")[2].partition(":")[0] for alt in maps]
    assert where == [f"position (19, {k})" for k in range(19, -1, -1)] + [
        f"position (18, {k})" for k in range(19, 15, -1)
    ]
    said = " ".join(read.text.split())
    assert (
        "is swapped, over 40 images: the 24 positions with the largest CES, by row and column counted from 0;" in said
    )
    analysis.effects["swap"] = analysis.effects["swap"].drop_vars(["row", "column"])  # positions that lie in no plane
    read = Page(write_analysis(analysis, tmp_path / "report.html"))
    assert "the 24 positions with the largest CES, counted from 0; below each" in " ".join(read.text.split())


def test_a_dead_codebook_has_a_section_without_figures(analysis_of, tmp_path):
    read = Page(write_analysis(analysis_of(codes=(512, 1)), tmp_path / "report.html"))
    assert "All positions of these images take one of the 512 codes: the codebook is dead on them." in read.text
    assert "Figure 6. The first matrix" in " ".join(read.text.split())


def test_without_a_codebook_nothing_is_said_of_one(analysis_of, tmp_path):
    text = Page(write_analysis(analysis_of(), tmp_path / "report.html")).text
    assert not any(word in text.lower() for word in ("codebook", "swap", "quantis"))


def test_a_failed_check_is_seen(analysis_of, tmp_path):
    path = write_analysis(analysis_of(checks={"identity_patch_changes_no_bit": False}), tmp_path / "report.html")
    assert {"class": "failed"} in Page(path).all("dd")


def test_the_same_analysis_gives_the_same_bytes(analysis_of, tmp_path):
    first, second = (write_analysis(analysis_of(), tmp_path / name) for name in ("a.html", "b.html"))
    assert first.read_bytes() == second.read_bytes()


def test_folders_are_made_and_nothing_else_is_left(analysis_of, tmp_path):
    path = write_analysis(analysis_of(), str(tmp_path / "deep" / "er" / "report.html"))
    assert path == tmp_path / "deep" / "er" / "report.html"
    assert list(path.parent.iterdir()) == [path]


def test_a_page_that_is_there_stays_whole_when_the_new_one_fails(analysis_of, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("before")
    broken = analysis_of()
    broken.effects["latent"] = broken.effects["latent"].drop_vars("effect_map")
    with pytest.raises(KeyError, match="effect_map"):
        write_analysis(broken, path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_paths_that_cannot_hold_a_page_are_refused(analysis_of, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(VaelensError, match=r"is a folder; give the file to write, .*report\.html"):
        write_analysis(analysis_of(), tmp_path)
    with pytest.raises(VaelensError, match="is a folder"):
        write_analysis(analysis_of(), "/")
    with pytest.raises(VaelensError, match="lies under a file"):
        write_analysis(analysis_of(), tmp_path / "file" / "report.html")
    with pytest.raises(VaelensError, match=r"can't be written \(File name too long\); give another path"):
        write_analysis(analysis_of(), tmp_path / ("long" * 100))
    with pytest.raises(VaelensError, match=r"path is None; expected the file to write"):
        write_analysis(analysis_of(), None)
    with pytest.raises(VaelensError, match="expected an Analysis, got a str"):
        write_analysis("analysis", tmp_path / "report.html")


@pytest.mark.parametrize(
    "part", ["latent", "modes", "recoded", "input", "patching", "mediation", "pictures", "importance"]
)
def test_a_page_is_made_of_whatever_parts_there_are(analysis_of, tmp_path, part):
    alone = analysis_of(swaps=SWAPS, channels=3)
    del alone.effects[part]
    without = Page(write_analysis(alone, tmp_path / "without.html"))
    for name in list(alone.effects):
        del alone.effects[name]
    alone.effects[part] = analysis_of(swaps=SWAPS, channels=3).effects[part]
    only = Page(write_analysis(alone, tmp_path / "only.html"))
    for page in (without, only):
        targets = {attributes.get("id") for _, attributes in page.tags}
        assert {link["href"][1:] for link in page.all("a") if link["href"].startswith("#")} <= targets
        numbers = [int(word.rstrip(".")) for word in re.findall(r"Figure (\d+)\.", page.text)]
        assert sorted(set(numbers)) == list(range(1, len(set(numbers)) + 1))


def test_the_title_says_what_was_analysed(analysis_of, tmp_path):
    analysis = analysis_of(name="folder")
    analysis.provenance["model"]["hyperparameters"] = {"beta": 4.0}
    analysis.provenance["dataset"]["options"] = {"folder": "/somewhere/birds"}
    text = Page(write_analysis(analysis, tmp_path / "report.html")).text
    assert "vae (beta = 4) on folder birds: what happens inside" in text
    assert "on 50 images of folder birds, by vaelens" in text


def test_every_caption_says_of_how_many_images_it_is(analysis_of, tmp_path):
    captions = re.findall(
        r"<figcaption>(.*?)</figcaption>",
        write_analysis(analysis_of(swaps=SWAPS), tmp_path / "report.html").read_text(encoding="utf-8"),
        re.DOTALL,
    )
    assert len(captions) == 18
    for caption in captions:
        told = re.search(r"\d+ (pairs of )?images|first image|\d+ pairs|first reconstruction|One number for", caption)
        assert told, caption


def test_a_reader_is_offered_of_images_alone(analysis_of, tmp_path):
    analysis = analysis_of()
    of_images = " ".join(Page(write_analysis(analysis, tmp_path / "images.html")).text.split())
    genes = np.ones((3, 4))
    analysis.effects["latent"]["effect_map"] = (("latent", "feature"), genes)
    for end in ("_low", "_high"):
        analysis.effects["latent"][f"effect_map{end}"] = (("latent", "feature"), genes)
    del analysis.effects["pictures"]
    analysis.provenance["observation"] = recorded(Observation.vector(list("abcd"), noun="cells"))
    of_cells = " ".join(Page(write_analysis(analysis, tmp_path / "cells.html")).text.split())
    assert "tell much more of scale than one alone: a factor reader (--reader) would show" in of_images
    assert "tell much more of scale than one alone." in of_cells
    assert "--reader" not in of_cells


def test_maps_say_what_their_colours_mean(analysis_of, tmp_path):
    text = " ".join(Page(write_analysis(analysis_of(), tmp_path / "report.html")).text.split())
    assert "from none (white) to the largest (dark blue), when the latent is set" in text


def test_what_was_measured_on_less_is_told(analysis_of, tmp_path):
    analysis = analysis_of()
    analysis.provenance["parts"] = {
        "latent": {"counted": "images", "taken": 50, "of": 50},
        "patching": {"counted": "pairs", "taken": 16, "of": 64, "sites": 3, "of_sites": 37},
    }
    analysis.provenance["left_out"] = {"swap": "the latent has no codebook"}
    analysis.provenance["more_time"] = "in about 14.0 min every part would be whole; now: patching 16 of 64 pairs"
    analysis.provenance["asked"] = {"minutes": 2.0, "parts": ["latent", "patching"]}
    text = " ".join(Page(write_analysis(analysis, tmp_path / "report.html")).text.split())
    assert "in 16 pairs of images, at 3 of 37 sites, spread over the model. Its colour" in text
    assert "The time was limited: in about 14.0 min every part would be whole" in text
    assert "16 of 64 pairs, 3 of 37 sites" in text
    analysis.provenance["parts"]["patching"]["sites"] = 1
    text = " ".join(Page(write_analysis(analysis, tmp_path / "report.html")).text.split())
    assert "in 16 pairs of images, at 1 of 37 sites. Its colour" in text
    assert "not made: the latent has no codebook" in text
    assert "vl.analyse(lens, ds, n=50, seed=0, only=['latent', 'patching'], minutes=2)" in text


def test_the_numbers_of_a_figure_are_in_the_page_as_csv(analysis_of, written):
    links = {link["download"]: link["href"] for link in Page(written("codebook")).all("a") if "download" in link}
    assert set(links) == {
        f"{name}.csv"
        for name in ("strengths", "modes", "associations", "labels", "recovered", "mediations", "positions")
    }
    packed = links["positions.csv"].removeprefix("data:text/csv;base64,")
    numbers = pd.read_csv(io.BytesIO(base64.b64decode(packed)))
    pd.testing.assert_series_equal(
        numbers["ces"], analysis_of(**KINDS["codebook"]).table("positions")["ces"].reset_index(drop=True)
    )
