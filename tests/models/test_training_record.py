import json

import numpy as np
import pytest
import torch

import vaelens as vl
from vaelens.models.training_record import FILE, TrainingRecord, weights_sha256


class Watched:
    """A dataset that notes which images were asked for."""

    def __init__(self, length):
        self.asked = []
        self.length = length

    def __len__(self):
        return self.length

    def images_at(self, indices):
        self.asked.append(np.array(indices))
        return torch.full((len(indices), 1, 8, 8), 0.5)

    def describe(self):
        return {"name": "watched", "length": self.length}


def small():
    return vl.build_model("vae", image_shape=(1, 8, 8), latent_dim=2)


def test_the_images_it_says_were_seen_are_those_that_training_asked_for():
    model, data = small(), Watched(200)
    vl.train(model, data, steps=7, batch_size=5, seed=3, progress=False)
    (record,) = model.training_records
    assert record == TrainingRecord({"name": "watched", "length": 200}, steps=7, batch_size=5, seed=3)
    assert set(np.flatnonzero(record.seen())) == set(np.concatenate(data.asked).tolist())
    assert record.seen().sum() < 36


def test_every_run_leaves_its_record_and_one_on_plain_images_says_that_it_is_not_known():
    model = small()
    assert model.training_records == ()
    vl.train(model, Watched(20), steps=1, batch_size=4, progress=False)
    vl.train(model, torch.rand(20, 1, 8, 8), steps=1, batch_size=4, progress=False)
    assert [record is None for record in model.training_records] == [False, True]


@pytest.mark.parametrize(
    "change",
    [
        {"model_sha256": "0"},
        {"steps": "many"},
        {"dataset": {"name": "watched"}},
        {"dataset": []},
        {"seed": -1},
    ],
)
def test_a_record_of_other_weights_or_a_damaged_one_is_none(change, tmp_path):
    model = small()
    model.save_pretrained(tmp_path)
    assert vl.VAE.from_pretrained(tmp_path).training_records == (None,)
    content = {"dataset": {"name": "watched", "length": 20}, "steps": 3, "batch_size": 4, "seed": 0}
    content["model_sha256"] = weights_sha256(tmp_path)
    (tmp_path / FILE).write_text(json.dumps(content))
    assert vl.VAE.from_pretrained(tmp_path).training_records == (TrainingRecord(content["dataset"], 3, 4, 0),)
    (tmp_path / FILE).write_text(json.dumps(content | change))
    assert vl.VAE.from_pretrained(tmp_path).training_records == (None,)
