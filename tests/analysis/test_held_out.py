import numpy as np
import pytest
import torch

import vaelens as vl
from vaelens.analysis.held_out import HeldOut, held_out
from vaelens.models.training_record import TrainingRecord


@pytest.fixture(scope="module")
def ds():
    return vl.ArrayDataset(np.random.default_rng(0).random((400, 1, 8, 8)), np.arange(400) % 4)


def trained(*records):
    model = torch.nn.Identity()
    model.training_records = records
    return model


def test_images_that_no_batch_held_are_taken(ds):
    model = vl.build_model("vae", image_shape=(1, 8, 8), latent_dim=2)
    vl.train(model, ds, steps=10, batch_size=20, progress=False)
    analysis = vl.analyse(vl.Lens(model), ds, n=100, progress=False, only="pictures")
    assert analysis.provenance["images_seen_in_training"] == "held out"
    seen = ds.images_at(np.flatnonzero(model.training_records[0].seen())).numpy()
    shown = analysis.effects["pictures"]["original"].values
    assert not (shown[:, None] == seen[None]).all(axis=(2, 3, 4)).any()


def test_where_training_left_too_few_all_are_taken_and_it_says_so(ds):
    record = TrainingRecord(ds.describe(), steps=60, batch_size=20, seed=0)
    assert 0 < (~record.seen()).sum() < 128
    assert (held_out(trained(record), ds).seen, held_out(trained(record), ds).rows) == ("seen", None)


def test_all_runs_count(ds):
    first, second = (TrainingRecord(ds.describe(), steps=5, batch_size=20, seed=seed) for seed in (0, 1))
    left = np.flatnonzero(~(first.seen() | second.seen()))
    np.testing.assert_array_equal(held_out(trained(first, second), ds).rows, left)


def test_without_a_record_nothing_is_known(ds):
    for model in (trained(), trained(None), torch.nn.Identity()):
        assert held_out(model, ds).seen == "unknown"
    other = ds.describe() | {"content_sha256": "another"}
    assert held_out(trained(TrainingRecord(other, 1, 4, 0)), ds).seen == "unknown"


def test_another_split_of_the_same_dataset_is_held_out(ds):
    described = ds.describe() | {"content_sha256": "another", "options": {"split": "train"}}
    for split, seen in (("test", "held out"), ("all", "unknown")):
        part = OfSplit(np.random.default_rng(0).random((400, 1, 8, 8)))
        part.split = split
        assert held_out(trained(TrainingRecord(described, 1, 4, 0)), part).seen == seen


class OfSplit(vl.ArrayDataset):
    """The same images, called a split."""

    split = ""

    @property
    def options(self):
        return {"split": self.split}


def test_codes_are_of_images_held_out_where_these_are_many():
    few, many = HeldOut("held out", np.arange(150)), HeldOut("held out", np.arange(20_000))
    assert few.rows_for_codes(400, most=15_000) is None
    assert few.rows_for_codes(300, most=15_000) is not None
    assert many.rows_for_codes(700_000, most=15_000) is not None
    assert HeldOut("seen").rows_for_codes(100, most=15_000) is None


def test_models_that_held_images_out_are_analysed_on_the_same_ones(ds):
    analyses = []
    for seed, steps in ((0, 3), (1, 30)):
        model = vl.build_model("vae", image_shape=(1, 8, 8), latent_dim=2, seed=seed)
        vl.train(model, ds, steps=steps, batch_size=20, seed=seed, held_out=150, progress=False)
        assert not model.training_records[0].seen()[held_out(model, ds).rows].any()
        analyses.append(vl.analyse(vl.Lens(model), ds, n=100, progress=False, only="reconstruction").provenance)
    assert analyses[0]["images_seen_in_training"] == "held out"
    assert analyses[0]["images_sha256"] == analyses[1]["images_sha256"]


def test_fewer_held_out_than_an_analysis_needs_are_not_taken_alone(ds):
    record = TrainingRecord(ds.describe(), steps=5, batch_size=20, seed=0, held_out=10)
    np.testing.assert_array_equal(held_out(trained(record), ds).rows, np.flatnonzero(~record.seen()))
