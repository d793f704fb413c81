"""The page in a real browser: every control does what it says, and nothing is asked of another machine."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

import vaelens as vl
from vaelens.explorer.scene import Scene
from vaelens.explorer.view import View
from vaelens.explorer.walk import walks_of

pytest.importorskip("gradio", reason="the explorer is served by Gradio")
READY = '.vx[data-state="ready"]'


@pytest.fixture(scope="module")
def served(planted, circuit, tmp_path_factory):
    """An explorer, started in an empty folder, which stays empty."""
    folder = tmp_path_factory.mktemp("cwd")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with vl.explore(planted.lens, planted.dataset, circuit, port=0, block=False) as explorer:
            yield explorer
        assert list(folder.iterdir()) == []


@pytest.fixture
def opened(served, chromium):
    """Opens the page, and checks in the end that it complained of nothing and went nowhere else."""
    contexts, problems = [], []

    def open(query="", width=1280, scheme="light", ready=True):
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=served.url.rstrip("/"))
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda said: problems.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "request",
            lambda asked: None if asked.url.startswith((served.url, "data:", "blob:")) else problems.append(asked.url),
        )
        page.goto(served.url + query)
        page.wait_for_selector(READY)
        return page

    yield open
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def scene(planted, circuit):
    return Scene(planted.lens, planted.dataset, walks_of(circuit))


def settled(page, act):
    """Acts, and waits for the answer to it."""
    before = page.get_attribute(".vx", "data-asked")
    act()
    page.wait_for_function("before => document.querySelector('.vx').dataset.asked !== before", arg=before)
    page.wait_for_function("document.querySelector('.vx').dataset.idle === 'true'")


def query_of(page):
    return page.evaluate("location.search.slice(1)")


def drag(page, latent, value):
    page.eval_on_selector(
        f"#vx-z{latent}",
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input', {bubbles: true})); }",
        value,
    )


def assert_on_screen(page, planted):
    """Executes the copied text, and compares the picture on the screen with its image."""
    page.evaluate("navigator.clipboard.writeText('')")
    page.click('[data-do="python"]')
    page.wait_for_function("document.querySelector('.vx-copied').textContent === 'copied'")
    names = {"lens": planted.lens, "ds": planted.dataset}
    exec(page.evaluate("navigator.clipboard.readText()"), names)
    address = page.get_attribute('[data-picture="image"] img', "src")
    pixels = np.array(Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))))[..., 0]
    expected = np.rint(names["image"][0, 0].numpy().clip(0, 1) * 255).astype(np.uint8)
    np.testing.assert_array_equal(pixels, expected)
    return names


def test_a_latent_is_dragged_and_a_link_shows_the_same(opened, planted):
    page = opened()
    settled(page, lambda: drag(page, 1, "1.5"))
    assert "z1=1.5" in query_of(page)
    names = assert_on_screen(page, planted)
    assert names["code"][0, 1] == 1.5
    assert page.inner_text('[data-latent="1"] .vx-recoded') != ""
    again = opened("?" + query_of(page))
    assert query_of(again) == query_of(page)
    assert again.get_attribute('[data-picture="image"] img', "src") == page.get_attribute(
        '[data-picture="image"] img', "src"
    )
    settled(page, lambda: page.click('[data-latent="1"] button'))
    assert "z1" not in query_of(page)


def test_of_many_drags_the_latest_wins(opened):
    page = opened()
    asked = int(page.get_attribute(".vx", "data-asked"))
    page.evaluate(
        "() => { const slider = document.querySelector('#vx-z0'); for (let k = 1; k <= 200; k++) {"
        " slider.value = k / 100; slider.dispatchEvent(new Event('input', {bubbles: true})); } }"
    )
    page.wait_for_function("document.querySelector('.vx').dataset.idle === 'true'")
    assert "z0=2" in query_of(page).split("&")
    assert int(page.get_attribute(".vx", "data-asked")) - asked <= 3, "what was overtaken was never asked"


def test_images_are_chosen_by_click_by_number_and_from_disk(opened, planted, tmp_path):
    page = opened()
    settled(page, lambda: page.click('.vx-strip [data-key="4"]'))
    assert "base=4" in query_of(page)
    page.get_by_text("Source", exact=True).first.click()
    settled(page, lambda: page.click('.vx-strip [data-key="7"]'))
    assert "source=7" in query_of(page)
    settled(page, lambda: (page.fill('[aria-label="number of the base image"]', "3"), page.keyboard.press("Tab")))
    assert "base=3" in query_of(page)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 20), dtype=np.uint8)).save(tmp_path / "mine.png")
    chooser = page.locator('[aria-label="a picture of your own as base"]')
    settled(page, lambda: chooser.set_input_files(tmp_path / "mine.png"))
    assert "base=png:" in query_of(page)
    assert_on_screen(page, planted)
    (tmp_path / "mine.png").write_bytes(b"%PDF-1.4 no picture")
    chooser.set_input_files(tmp_path / "mine.png")
    page.wait_for_selector(".vx-error:not([hidden])")
    assert "can't be read as a picture" in page.inner_text(".vx-error")


def test_units_are_patched_ablated_and_scaled_with_what_each_costs(opened, planted, scene):
    page = opened("?base=0&source=9&site=decoder.1")
    page.click("#vx-tab-units")
    page.wait_for_selector(".vx-unit[data-unit]")
    costs = scene.unit_costs(View("0", "9", site="decoder.1"))
    largest = int(costs.change.argmax())
    assert page.get_attribute(".vx-unit[data-unit]", "data-unit") == str(largest)
    settled(page, lambda: page.check(f'.vx-unit[data-unit="{largest}"] input'))
    assert f"edit=patch:{largest}@decoder.1" in query_of(page)
    assert_on_screen(page, planted)
    for how in ("zero", "mean", "scale"):
        settled(page, lambda how=how: page.select_option('[data-field="how"]', how))
        assert f"edit={how}:{largest}" in query_of(page)
        assert_on_screen(page, planted)
    settled(page, lambda: page.get_by_text("Undo at this site").click())
    assert "edit" not in query_of(page)


def test_a_circuit_is_walked_pinned_grouped_renamed_and_run_alone(opened, planted, circuit):
    page = opened("?base=0&source=9")
    page.click("#vx-tab-circuit")
    first = f"encoder.0·{circuit.units['encoder.0'][0]}"
    settled(page, lambda: page.click(f'[data-node="{first}"]'))
    for site in ("encoder.1", "encoder.2", "latent"):  # along the edges
        settled(page, lambda: page.click('[data-walk="to"]'))
        assert f"unit={circuit.units[site][0]}@{site}" in query_of(page)
    settled(page, lambda: page.click('[data-do="pin"]'))
    settled(page, lambda: (page.fill('[aria-label="name of the unit"]', "how large"), page.keyboard.press("Tab")))
    assert "how large" in page.inner_text('.vx-node[aria-pressed="true"]')
    page.fill('[aria-label="name of a new group"]', "sizes")
    settled(page, lambda: page.click('[data-do="group"]'))
    assert f"group=sizes|{circuit.units['latent'][0]}@latent" in query_of(page)
    settled(page, lambda: (page.fill('[aria-label="name of the group sizes"]', "scale"), page.keyboard.press("Tab")))
    assert "group=scale|" in query_of(page)
    for name in ("scale", "circuit"):
        settled(page, lambda name=name: page.check(f'[name="vx-alone"][value="{name}"]'))
        assert f"alone={name}" in query_of(page)
        assert_on_screen(page, planted)
    again = opened("?" + query_of(page))
    assert query_of(again) == query_of(page)


def test_an_odd_address_is_a_sentence_on_the_page(opened):
    page = opened("?base=99&z7=1")
    assert "latent 7 does not exist; the model has 0 to 1" in page.inner_text(".vx-error")
    assert "base=99" not in query_of(page)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_it_fits_the_width_and_has_no_serious_violation(opened, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core checks accessibility")
    page = opened("?z0=1&edit=patch:1@decoder.1", width, scheme)
    for tab in ("latents", "units", "circuit", "python"):
        page.click(f"#vx-tab-{tab}")
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        found = axe.Axe().run(page).response["violations"]
        serious = [
            (each["id"], [node["html"][:120] for node in each["nodes"]][:3])
            for each in found
            if each["impact"] in ("serious", "critical")
        ]
        assert serious == [], tab


def test_the_keyboard_reaches_sliders_and_tabs(opened):
    page = opened()
    page.focus("#vx-z0")
    settled(page, lambda: page.keyboard.press("ArrowRight"))
    assert re.search(r"z0=", query_of(page))
    page.focus("#vx-tab-latents")
    page.keyboard.press("ArrowRight")
    assert page.get_attribute("#vx-tab-units", "aria-selected") == "true"
