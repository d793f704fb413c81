"""Crafted checkpoints; that a run goes on from its own to the same bits is for test_training and test_contract."""

import pytest
import torch

from vaelens.errors import VaelensError
from vaelens.models import build_model, train
from vaelens.models.checkpoints import load_checkpoint
from vaelens.models.run_folder import checkpoint_path
from vaelens.models.tensor_file import read_tensors, write_tensors

IMAGES = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
SHORT = {"batch_size": 4, "progress": False, "device": "cpu", "log_every": 2}


def new_model():
    return build_model("vae", (1, 8, 8), latent_dim=2)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    train(new_model(), IMAGES, **SHORT, steps=3, folder=folder)
    return read_tensors(checkpoint_path(folder), "")


def facts_with(**changes):
    return lambda tensors, facts: (tensors, facts | changes)


def without(name):
    return lambda tensors, facts: tuple({key: part[key] for key in part if key != name} for part in (tensors, facts))


def tensors_with(name, change):
    return lambda tensors, facts: (tensors | {name: change(tensors.get(name, torch.zeros(1)))}, facts)


FIRST = "optimizer/0/0/"


@pytest.mark.parametrize(
    "craft",
    [
        *map(without, ["step", "run", "conditions", "columns", "optimizers", "record/rows", "record/window"]),
        *(facts_with(step=step) for step in (-1, 1e9, "3", None, True)),
        *(facts_with(optimizers=number) for number in (0, 2, -1, 10**12, "x", None)),
        *(facts_with(columns=columns) for columns in ({}, [], {"rows": ["a", "b"], "window": []})),
        facts_with(conditions=3),
        without(FIRST + "exp_avg"),
        without(FIRST + "step"),
        tensors_with(FIRST + "exp_avg", lambda tensor: tensor[:1]),
        tensors_with(FIRST + "exp_avg", lambda tensor: tensor * torch.nan),
        tensors_with(FIRST + "exp_avg", lambda tensor: tensor.int()),
        tensors_with(FIRST + "exp_avg_sq", lambda tensor: tensor - 1),
        tensors_with("optimizer/0/99/exp_avg", lambda tensor: tensor),
        tensors_with("optimizer/a/b/c", lambda tensor: tensor),
        tensors_with("discriminator/0.weight", lambda tensor: tensor),
        tensors_with("odd", lambda tensor: tensor),
    ],
)
def test_a_crafted_checkpoint_is_one_sentence_and_leaves_the_model_alone(craft, saved, tmp_path):
    checkpoint_path(tmp_path).parent.mkdir()
    write_tensors(checkpoint_path(tmp_path), *craft(*saved))
    model, untouched = new_model(), new_model()
    with pytest.raises(VaelensError, match=r"last.safetensors' is damaged \(.*\); train anew.*--overwrite"):
        train(model, IMAGES, **SHORT, steps=6, folder=tmp_path, resume=True)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), untouched.parameters(), strict=True))


def test_weights_that_are_lost_or_another_s_are_one_sentence(saved, tmp_path):
    name = "model/encoder.conv0.weight"
    checkpoint_path(tmp_path).parent.mkdir()
    for change, message in [
        (lambda tensor: tensor * torch.nan, "hold NaN or infinity, in encoder.conv0.weight"),
        (lambda tensor: tensor[:2], "do not fit the config: the file has encoder.conv0.weight"),
    ]:
        write_tensors(checkpoint_path(tmp_path), *tensors_with(name, change)(*saved))
        with pytest.raises(VaelensError, match=message):
            train(new_model(), IMAGES, **SHORT, steps=6, folder=tmp_path, resume=True)


def test_a_record_of_other_terms_is_one_sentence(saved, tmp_path):
    tensors, facts = saved
    columns = facts["columns"] | {"window": ["other", *facts["columns"]["window"][1:]]}
    checkpoint_path(tmp_path).parent.mkdir()
    write_tensors(checkpoint_path(tmp_path), tensors, facts | {"columns": columns})
    with pytest.raises(VaelensError, match=r"the record has the terms other, .* the checkpoint .* is damaged"):
        train(new_model(), IMAGES, **SHORT, steps=6, folder=tmp_path, resume=True)


def test_a_record_of_many_rows_can_be_read_again(tmp_path):
    # as texts, they would fill a header of tens of MB, and longer runs one that safetensors does not read
    checkpoint_path(tmp_path).parent.mkdir()
    folder = tmp_path / "run"
    train(new_model(), IMAGES, **SHORT, steps=2, folder=folder)
    tensors, facts = read_tensors(checkpoint_path(folder), "")
    rows = tensors["record/rows"].repeat(100_000, 1)
    write_tensors(checkpoint_path(tmp_path), tensors | {"record/rows": rows}, facts)
    checkpoint = load_checkpoint(checkpoint_path(tmp_path))
    assert len(checkpoint.record["rows"]) == 100_000
    assert checkpoint.record["rows"][-1] == load_checkpoint(checkpoint_path(folder)).record["rows"][0]


def test_a_run_in_double_precision_goes_on_in_it(tmp_path):
    whole, parted = new_model().double(), new_model()
    train(whole, IMAGES, **SHORT, steps=4)
    train(new_model().double(), IMAGES, **SHORT, steps=2, folder=tmp_path)
    train(parted, IMAGES, **SHORT, steps=4, folder=tmp_path, resume=True)
    for parameter, expected in zip(parted.parameters(), whole.parameters(), strict=True):
        assert torch.equal(parameter, expected)
