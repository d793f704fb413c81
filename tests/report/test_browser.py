"""Pages in a real browser: what is drawn, what controls do, what is asked for, whom it keeps out."""

import pytest

from report.kinds import FIGURES, KINDS


@pytest.mark.parametrize(
    ("kind", "width"),
    [(kind, 400 if kind in ("factors", "codebook", "many latents", "odd names") else 1280) for kind in KINDS],
)
def test_a_browser_shows_every_figure_and_asks_for_nothing(chromium, written, kind, width):
    tab = chromium.new_page(viewport={"width": width, "height": 900})
    asked, complaints = [], []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        tab.goto(written(kind).as_uri(), timeout=120_000)  # a busy machine takes its time over megabytes
        tab.wait_for_function("n => document.querySelectorAll('.plotly-graph-div .main-svg').length >= n", arg=FIGURES)
        drawn = tab.evaluate(
            "[...document.querySelectorAll('.plotly-graph-div')].map(div => {"
            " const box = div.querySelector('svg').getBoundingClientRect(); return [box.width, box.height]; })"
        )
        whole, seen = tab.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        more = tab.locator("#plot-positions, #plot-labels").count()
        unseen = tab.evaluate("[...document.images].filter(image => !image.naturalWidth).length")
    finally:
        tab.close()
    assert len(drawn) == FIGURES + more
    assert all(extent > 0 for box in drawn for extent in box)
    assert complaints == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert whole <= seen
    assert unseen == 0


def test_a_latent_is_played_by_hand(chromium, written):
    tab = chromium.new_page(viewport={"width": 400, "height": 900})
    try:
        tab.goto(written("factors").as_uri())
        tab.select_option("#player select", "0")
        tab.focus("#player input")
        for _ in range(2):
            tab.keyboard.press("ArrowRight")
        told = tab.inner_text("#player output"), tab.get_attribute("#player img", "alt")
        frame, picture = (tab.locator(f"#player {part}").bounding_box() for part in (".frame", "img"))
    finally:
        tab.close()
    assert told == ("2", "The image with latent 0 set to 2")
    assert (frame["x"] - picture["x"]) / picture["width"] == pytest.approx(5 / 7, abs=0.01)  # the sixth of seven


def test_a_figure_is_saved_as_svg_with_dark_ink_also_where_the_page_is_dark(chromium, written, tmp_path):
    context = chromium.new_context(color_scheme="dark")
    tab = context.new_page()
    colour = "() => getComputedStyle(document.querySelector('#plot-modes .xtick text')).fill"
    try:
        tab.goto(written("factors").as_uri())
        tab.wait_for_function(f"({colour})() === 'rgb(227, 231, 235)'")
        with tab.expect_download() as download:
            tab.click("button[data-plot=modes]")
        download.value.save_as(tmp_path / "modes.svg")
        tab.wait_for_function(f"({colour})() === 'rgb(227, 231, 235)'")
    finally:
        context.close()
    assert download.value.suggested_filename == "modes.svg"
    saved = (tmp_path / "modes.svg").read_text()
    assert saved.startswith("<svg")
    assert "fill: rgb(31, 41, 51)" in saved
    assert "fill: rgb(227, 231, 235)" not in saved


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_that_keeps_people_out(chromium, written, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core looks for barriers").Axe()
    context = chromium.new_context(color_scheme=scheme)
    tab = context.new_page()
    try:
        tab.goto(written("codebook").as_uri())
        tab.wait_for_function("document.querySelectorAll('.plotly-graph-div .main-svg').length > 0")
        found = axe.run(tab).response
    finally:
        context.close()
    assert len(found["passes"]) > 20
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found["violations"]] == []


def test_in_print_figures_stay_with_their_captions(chromium, written):
    tab = chromium.new_page()
    try:
        tab.goto(written("codebook").as_uri())
        tab.emulate_media(media="print")
        inside = tab.evaluate(
            "[...document.querySelectorAll('figure')].map(figure => getComputedStyle(figure).breakInside)"
        )
        before = tab.evaluate(
            "[...document.querySelectorAll('figure:not(.table) > figcaption')]"
            ".map(caption => getComputedStyle(caption).breakBefore)"
        )
    finally:
        tab.close()
    assert set(inside) == {"avoid"}
    assert set(before) == {"avoid"}
