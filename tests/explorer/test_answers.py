"""What the page is told: plain values that JSON holds, and a sentence in place of every error."""

import base64
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

import vaelens as vl
from vaelens.explorer.answers import Answers
from vaelens.explorer.python import Origin
from vaelens.explorer.scene import Scene
from vaelens.explorer.view import Edit, View
from vaelens.observation import Observation


@pytest.fixture(scope="module")
def answers(scene):
    return Answers(scene, Origin())


def pixels(address):
    return np.array(Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))))


def told(answer):
    """An answer as it comes through JSON."""
    return json.loads(json.dumps(answer, allow_nan=False))


def test_what_there_is_to_look_at(answers, circuit):
    facts = told(answers.open(""))
    assert (facts["title"], facts["count"], facts["error"]) == ("vae on planted-redundant", 10, None)
    assert [site["name"] for site in facts["sites"]][-1] == "decoder.3"
    assert "decoder.3" not in facts["inner"], "the output's units are the image"
    assert facts["latents"][0]["low"] == -facts["latents"][0]["high"] <= -3
    (walk,) = facts["circuits"]
    assert {site["site"]: [unit["index"] for unit in site["units"]] for site in walk["sites"]} == {
        site: list(units) for site, units in circuit.units.items()
    }
    assert facts["view"]["circuit"] == "first"


def test_an_address_is_opened_or_said_to_be_of_another_model(answers):
    facts = told(answers.open("base=4&edit=zero:1,2@decoder.0"))
    assert (facts["view"]["base"], facts["view"]["site"], facts["view"]["how"]) == ("4", "decoder.0", "zero")
    facts = told(answers.open("base=4&z5=1"))
    assert facts["error"] == "latent 5 does not exist; the model has 0 to 1"
    assert facts["view"] == told(answers.open(""))["view"]


def test_pictures_are_of_the_very_numbers(answers, scene):
    view = View("1", "8", {0: 1.0}, (Edit("decoder.1", (1,)),))
    answer, shown = told(answers.show(view.plain())), scene.show(view)
    expected = np.rint(shown.image[0, 0].numpy().clip(0, 1) * 255)
    np.testing.assert_array_equal(pixels(answer["pictures"]["image"])[..., 0], expected)
    assert answer["changed"] == pytest.approx(shown.changed)
    assert [row[1] for row in answer["code"]] == shown.code[0].tolist()
    assert answer["query"] == view.query()
    red, _, blue = np.moveaxis(pixels(answer["pictures"]["difference"]).astype(int), -1, 0)
    difference = shown.difference[0, 0].numpy()
    most = np.abs(difference).max()
    assert answer["most"] == pytest.approx(max(most, 0.02))
    assert (blue > red)[difference > 0.2 * most].all()
    assert (red > blue)[difference < -0.2 * most].all()


def test_units_come_in_the_order_of_their_cost(answers, scene):
    view = View("1", "8", site="decoder.1")
    rows = told(answers.units(view.plain()))["units"]
    costs = scene.unit_costs(view)
    assert [row["index"] for row in rows] == np.argsort(-costs.change, kind="stable").tolist()


def test_errors_are_sentences(answers, monkeypatch):
    assert told(answers.show(View("77", "1").plain()))["error"] == "planted-redundant has images 0 to 9, not '77'"
    assert "the page sent what is no view" in told(answers.show({}))["error"]
    assert told(answers.units(View("1", "2", site="no").plain()))["error"].startswith("unknown site 'no'")
    assert "what came is no file" in told(answers.upload({"content": "§"}))["error"]
    assert "more than 8 MiB" in told(answers.upload({"content": 3}))["error"]

    def breaks(*_):
        raise RuntimeError("out of\nmemory")

    monkeypatch.setattr(answers._scene, "show", breaks)
    assert told(answers.show(View("1", "2").plain()))["error"] == "the model raised RuntimeError: out of memory"


def test_a_picture_from_the_browser_becomes_a_key(answers):
    file = io.BytesIO()
    Image.fromarray(np.full((8, 8), 120, np.uint8)).save(file, "PNG")
    answer = told(answers.upload({"content": base64.b64encode(file.getvalue()).decode()}))
    assert answer["key"].startswith("png:")
    assert told(answers.show(View(answer["key"], "1").plain()))["query"].startswith("base=png:")


@pytest.mark.parametrize(
    ("shape", "caption"),
    [
        ((5,), ""),
        ((40,), "the 24 features that differ most are shown, of 40"),
        ((2, 12), ""),
        ((1, 4, 4, 4), "middle depth"),
    ],
)
def test_data_that_are_no_images_have_a_fitting_view(shape, caption):
    size = int(np.prod(shape))
    module = torch.nn.ModuleDict({"e": torch.nn.Linear(size, 2), "d": torch.nn.Linear(2, size)})
    ds = vl.ArrayDataset(
        np.random.default_rng(0).normal(size=(6, *shape)).astype(np.float32), observation=Observation.of_shape(shape)
    )

    def encode(x):
        return module["e"](x.flatten(1))

    def decode(z):
        return module["d"](z).reshape(-1, *shape)

    answers = Answers(Scene(vl.Lens(module, encode, decode, example=ds.images_at([0, 1])), ds), Origin())
    facts = told(answers.open("z0=2"))
    assert caption in facts["caption"]
    assert not facts["takes_pictures"]
    answer = told(answers.show(facts["view"]))
    kind = "image/png" if len(shape) == 4 else "image/svg+xml"
    assert all(address.startswith(f"data:{kind};base64,") for address in answer["pictures"].values())
    if len(shape) == 1:
        drawn = base64.b64decode(answer["pictures"]["difference"].split(",")[1]).decode()
        assert drawn.count("<rect") == min(size, 24)
    assert "a picture has 1 or 3 channels" in told(answers.upload({"content": ""}))["error"]
