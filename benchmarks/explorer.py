"""What a drag in the explorer takes at 64×64, on the server and in a browser: `python -m benchmarks.explorer`.

`--picture FILE` takes the picture of the documentation besides; a circuit is then searched for, in some minutes.
"""

import argparse
import shutil
import time
from pathlib import Path

import numpy as np

import vaelens as vl
from vaelens.explorer.answers import Answers
from vaelens.explorer.python import Origin
from vaelens.explorer.scene import Scene
from vaelens.explorer.view import View

DRAGS = 100
_BASE, _SOURCE = "30208", "469605"
_DRAG = """async (drags) => {
  const page = document.querySelector(".vx"), slider = document.querySelector("#vx-z0"), times = [];
  for (let k = 0; k < drags; k++) {
    const asked = page.dataset.asked, begun = performance.now();
    slider.value = -3 + 6 * k / drags;
    slider.dispatchEvent(new Event("input", {bubbles: true}));
    while (page.dataset.asked === asked) await new Promise((ready) => requestAnimationFrame(ready));
    times.push(performance.now() - begun);
  }
  return times;
}"""


def main() -> None:
    """Measures, and prints medians and 95 % quantiles in milliseconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--steps", type=int, default=1500)
    arguments = parser.parse_args()
    ds = vl.load_dataset("sprites")
    model = vl.build_model("beta-vae", image_shape=ds.image_shape, beta=2.0, seed=0)
    vl.train(model, ds, steps=arguments.steps)
    lens = vl.Lens(model)
    _print("answered by the server", _answered(Answers(Scene(lens, ds), Origin())))
    circuit = vl.discover_circuit(lens, ds, "scale", n=16) if arguments.picture else None
    with vl.explore(lens, ds, circuit, port=0, block=False) as explorer:
        _print("from the drag to the picture, in Chromium", _dragged(explorer.url, arguments.picture))


def _answered(answers: Answers) -> list[float]:
    times = []
    for value in np.linspace(-3, 3, DRAGS):
        begun = time.perf_counter()
        answers.show(View(_BASE, _SOURCE, {0: float(value)}).plain())
        times.append(1e3 * (time.perf_counter() - begun))
    return times


def _dragged(url: str, picture: Path | None) -> list[float]:
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{url}?base={_BASE}&source={_SOURCE}")
        page.wait_for_selector('.vx[data-state="ready"]')
        times = page.evaluate(_DRAG, DRAGS)
        if picture is not None:
            page.goto(f"{url}?base={_BASE}&source={_SOURCE}&circuit=scale&unit=2@latent&edit=patch:3@latent")
            page.wait_for_selector('.vx[data-state="ready"]')
            page.screenshot(path=picture)
        browser.close()
    return times


def _print(what: str, milliseconds: list[float]) -> None:
    middle, most = np.quantile(milliseconds, [0.5, 0.95])
    print(f"{what}: {middle:.0f} ms, 95 % under {most:.0f} ms, of {len(milliseconds)} drags", flush=True)


if __name__ == "__main__":
    main()
