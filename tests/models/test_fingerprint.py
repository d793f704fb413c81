import pytest
import torch

from vaelens.data import ArrayDataset
from vaelens.errors import VaelensError, VaelensWarning
from vaelens.models import build_model, train
from vaelens.models.batches import TensorImages
from vaelens.models.fingerprint import fingerprint

IMAGES = torch.rand(300, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def test_the_same_images_have_the_same_and_others_another():
    assert fingerprint(TensorImages(IMAGES)) == fingerprint(TensorImages(IMAGES.clone()))
    others = {fingerprint(TensorImages(images)) for images in (IMAGES.flip(0), IMAGES[:299], 1 - IMAGES)}
    assert len(others | {fingerprint(TensorImages(IMAGES))}) == 4


def test_a_dataset_is_known_by_its_own_hash_which_takes_in_its_factors():
    labels = torch.arange(300).view(-1, 1) % 3
    dataset = ArrayDataset(IMAGES, factors=labels)
    assert fingerprint(dataset) == dataset.describe()["content_sha256"]
    assert fingerprint(dataset) != fingerprint(ArrayDataset(IMAGES, factors=labels.flip(0)))


def test_a_description_of_another_kind_is_passed_over():
    class Own(TensorImages):
        def describe(self, what):
            raise AssertionError

    assert fingerprint(Own(IMAGES)) == fingerprint(TensorImages(IMAGES))


def test_images_that_differ_every_time_are_told():
    class Augmented(TensorImages):
        def images_at(self, indices):
            return torch.rand(len(indices), 1, 8, 8)

    with pytest.warns(VaelensWarning, match="gives other images when it is asked for the same ones again"):
        assert fingerprint(Augmented(IMAGES)) == "other images every time"


def test_a_run_is_resumed_on_its_own_images_alone(tmp_path):
    arguments = {"batch_size": 4, "progress": False, "device": "cpu", "folder": tmp_path}
    train(build_model("vae", (1, 8, 8), latent_dim=2), IMAGES, steps=1, **arguments)
    with pytest.raises(VaelensError, match=r"is of another run: it was made with data of the hash \w{12}, not of the"):
        train(build_model("vae", (1, 8, 8), latent_dim=2), IMAGES.flip(0), steps=2, resume=True, **arguments)
    train(build_model("vae", (1, 8, 8), latent_dim=2), IMAGES.clone(), steps=2, resume=True, **arguments)
