"""The copied text is executed, and computes what is on the screen to the bit."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

import vaelens as vl
from vaelens.explorer.python import Origin, python_of
from vaelens.explorer.scene import Scene
from vaelens.explorer.upload import packed_picture
from vaelens.explorer.view import Edit, View


def assert_reproduced(scene, view):
    text = python_of(scene, view, Origin())
    names = {"lens": scene.lens, "ds": scene.ds}
    exec(text, names)
    shown = scene.show(view)
    for name in ("image", "difference", "code", "recoded"):
        assert torch.equal(names[name], getattr(shown, name)), f"{name} of\n{text}"
    return text


EDITS = (
    Edit("encoder.1", (1, 3), "scale", 0.1),
    Edit("latent", (1,), "mean"),
    Edit("decoder.0", (0, 4), "zero"),
    Edit("decoder.1", (2, 5)),
)


@pytest.mark.parametrize(
    "view",
    [
        View("0", "9"),
        View("3", "9", {0: 1.1, 1: -0.30000000000000004}),
        View("3", "9", {0: 1.1}, EDITS),
        *(View("4", "5", edits=(edit,)) for edit in EDITS),
        View("2", "7", alone="circuit", circuit="first"),
        View("2", "7", {0: 3.0}, EDITS, alone="some", groups={"some": (("decoder.1", 5), ("latent", 0))}),
    ],
)
def test_a_copied_call_gives_the_bits_on_the_screen(scene, view):
    assert_reproduced(scene, view)


def test_so_does_that_of_a_picture_from_the_browser(scene):
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)).save(file, "PNG")
    key = packed_picture(file.getvalue(), scene.ds.observation)
    text = assert_reproduced(scene, View(key, "7", edits=(Edit("decoder.1", (1,)),)))
    assert "unpacked_picture('png:" in text
    assert_reproduced(scene, View("1", key, edits=(Edit("decoder.1", (1,)),)))


def test_so_does_that_of_a_model_with_positions_in_its_latent():
    ds = vl.ArrayDataset(np.random.default_rng(0).random((8, 1, 32, 32)))
    scene = Scene(vl.Lens(vl.build_model("vq-vae", (1, 32, 32), latent_dim=4, codes=8, seed=0)), ds)
    text = assert_reproduced(scene, View("1", "2", {3: 0.25}, (Edit("decoder.1", (0, 1)),)))
    assert "vl.Add('latent', 3, 0.25)" in text


def test_so_does_that_of_a_model_that_takes_a_context():
    rng = np.random.default_rng(0)
    module = torch.nn.ModuleDict({"encoder": torch.nn.Linear(6, 2), "decoder": torch.nn.Linear(4, 4)})
    x, c = rng.normal(size=(9, 4)).astype(np.float32), rng.normal(size=(9, 2)).astype(np.float32)

    def encode(x, c):
        return module["encoder"](torch.cat([x, c], 1))

    def decode(z, c):
        return module["decoder"](torch.cat([z, c], 1))

    lens = vl.Lens(module, encode, decode, example=torch.from_numpy(x[:2]), context=torch.from_numpy(c[:2]))
    scene = Scene(lens, vl.ArrayDataset(x, context=c))
    text = assert_reproduced(scene, View("1", "7", {0: 0.5}))
    assert "context=base_context" in text
    assert ".clamp" not in text, "these vectors have no range"
    assert_reproduced(scene, View("1", "7", edits=(Edit("latent", (1,)),)))
    assert_reproduced(scene, View("1", "7", edits=(Edit("latent", (1,), "mean"),)))
    assert_reproduced(scene, View("1", "7", alone="pins", pins=(("latent", 1),)))


def test_so_does_that_of_a_model_whose_output_is_made_into_counts_again(linear, monkeypatch):
    model = linear(d=2)
    monkeypatch.setattr(model.lens, "observed", lambda decoded: decoded / 2)
    scene = Scene(model.lens, vl.ArrayDataset(model.x.float().numpy()))
    text = assert_reproduced(scene, View("0", "1", {1: 0.5}))
    assert "lens.encode(lens.observed(image).clamp(0.0, 1.0))" in text
