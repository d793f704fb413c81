import io

import numpy as np
import pytest
import torch
from PIL import Image

import vaelens as vl
from vaelens.explorer import upload
from vaelens.explorer.upload import packed_picture, unpacked_picture
from vaelens.observation import Observation

KIND = Observation.image((1, 4, 6))


def file_of(pixels, kind="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(file, kind, **options)
    return file.getvalue()


def test_a_picture_of_the_right_shape_comes_through_to_the_bit():
    grey = np.arange(24).reshape(4, 6) * 10
    packed = packed_picture(file_of(grey), KIND)
    assert packed.startswith("png:")
    assert torch.equal(unpacked_picture(packed, KIND), torch.from_numpy(grey)[None, None].float() / 255)
    colours = np.random.default_rng(0).integers(0, 256, (5, 5, 3))
    kind = Observation.image((3, 5, 5))
    image = unpacked_picture(packed_picture(file_of(colours, "WEBP", lossless=True), kind), kind)
    assert torch.equal(image, torch.from_numpy(colours).permute(2, 0, 1)[None].float() / 255)


def test_one_of_another_shape_is_cut_about_its_middle():
    wide = np.zeros((4, 16))
    wide[:, 5:11] = 200  # the middle, 4×6
    assert torch.equal(unpacked_picture(packed_picture(file_of(wide), KIND)), torch.full((1, 1, 4, 6), 200 / 255))


def test_what_it_carried_besides_is_left_behind():
    content = file_of(np.zeros((4, 6)), "JPEG", exif=b"Exif\0\0secret place", comment=b"secret place")
    assert b"secret" in content
    assert b"secret" not in packed_picture(content, KIND).encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file can't be read as a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "the file can't be read as a picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "the file can't be read as a picture"),
        (file_of(np.zeros((64, 64)))[:50], "the file can't be read as a picture"),
    ],
)
def test_by_their_content_only_pictures_are_taken(content, message):
    with pytest.raises(vl.VaelensError, match=message):
        packed_picture(content, KIND)


def test_bounds_are_kept(monkeypatch):
    with pytest.raises(vl.VaelensError, match="has 8,388,609 bytes; expected at most 8,388,608"):
        packed_picture(b"x" * (upload.LARGEST + 1), KIND)
    monkeypatch.setattr(upload, "MOST_PIXELS", 10)
    with pytest.raises(vl.VaelensError, match="24 pixels, the bound is 10"):
        packed_picture(file_of(np.zeros((4, 6))), KIND)
    with pytest.raises(vl.VaelensError, match="the model takes vectors of shape"):
        packed_picture(file_of(np.zeros((4, 6))), Observation.vector(4))


@pytest.mark.parametrize("text", ["png:", "png:!!!", "png:aGVsbG8=", "png:é", "png:abc"])
def test_a_damaged_address_is_refused_in_a_sentence(text):
    with pytest.raises(vl.VaelensError, match=r"load (the picture|it) again"):
        unpacked_picture(text, KIND)


def test_a_picture_of_another_model_is_refused():
    with pytest.raises(vl.VaelensError, match=r"of shape \(1, 4, 6\), and the model takes \(3, 4, 6\)"):
        unpacked_picture(packed_picture(file_of(np.zeros((4, 6))), KIND), Observation.image((3, 4, 6)))
