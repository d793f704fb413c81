import numpy as np
import pytest
import torch

import vaelens as vl
from vaelens.cache import cache_folder
from vaelens.metrics.readers import training

ASKED = {"steps": 80, "batch_size": 32, "device": "cpu"}


def never(*_):
    raise AssertionError("a reader from the cache is not trained")


def weights(reader):
    return {name: tensor.clone() for name, tensor in reader.network.state_dict().items()}


def same_weights(first_reader, second_reader):
    return all(torch.equal(tensor, weights(second_reader)[name]) for name, tensor in weights(first_reader).items())


def test_what_the_images_show_is_read_and_what_they_do_not_is_not_trusted(trained, squares):
    reader, steps = trained
    assert reader.accuracy["row"] == reader.accuracy["column"] == 1.0
    assert reader.accuracy["nothing"] < 0.7
    assert reader.trusted == reader.factors == ("row", "column")
    assert reader.untrusted == ("nothing",)
    assert steps[-1] == (80, 80)
    assert [score.images for score in reader.scores] == [120, 120, 120]
    x, f = squares().sample(50, seed=3)
    readings = reader.read(x)
    np.testing.assert_array_equal(readings["row"].argmax(dim=1), f[:, 0])
    np.testing.assert_array_equal(readings["column"].argmax(dim=1), f[:, 1])


def test_a_second_call_gives_the_same_reader_without_training(trained, squares, monkeypatch):
    monkeypatch.setattr(training, "train_network", never)
    again = vl.factor_reader(squares(), **ASKED)
    assert again is not trained[0]
    assert same_weights(again, trained[0])
    assert again.scores == trained[0].scores
    assert again.identity == trained[0].identity
    images = torch.rand(4, 1, 16, 16)
    for name, read in trained[0].read(images).items():
        assert torch.equal(again.read(images)[name], read)


@pytest.mark.parametrize("damage", [b"", b"not a reader", None])
def test_a_damaged_file_is_trained_anew_to_the_same_bits(trained, squares, damage):
    path = cache_folder() / "readers" / f"{trained[0].identity}.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-100] if damage is None else damage)
    assert same_weights(vl.factor_reader(squares(), **ASKED), trained[0])
    assert path.read_bytes() == whole
    assert {file.suffix for file in path.parent.iterdir()} == {".safetensors"}


def test_a_folder_that_can_not_be_written_costs_the_file_only(squares, monkeypatch, tmp_path):
    (tmp_path / "readers").write_text("in the way")
    monkeypatch.setenv("VAELENS_CACHE", str(tmp_path))
    reader = vl.factor_reader(squares(50), steps=1, device="cpu")
    assert len(reader.scores) == 3


def test_other_settings_or_a_corrected_label_make_another_reader(trained, squares):
    base = trained[0].identity
    pixels = squares().image_batch(np.arange(600))
    labels = squares().factor_values(np.arange(600))
    corrected = labels.copy()
    corrected[-1, 2] = 1 - corrected[-1, 2]
    identities = {base}
    for ds in (vl.ArrayDataset(pixels, labels), vl.ArrayDataset(pixels, corrected)):
        identities.add(vl.factor_reader(ds, steps=1, device="cpu").identity)
    identities.add(vl.factor_reader(squares(), steps=1, device="cpu").identity)
    identities.add(vl.factor_reader(squares(), steps=1, seed=1, device="cpu").identity)
    assert len(identities) == 5


def test_the_global_random_state_is_as_before(squares):
    torch.manual_seed(5)
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    vl.factor_reader(squares(100), steps=2, device="cpu", progress=False)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002


def test_images_without_a_label_are_left_out_of_training_and_test(squares):
    ds = squares(missing=300)
    assert ds.missing == {"row": 300}
    reader = vl.factor_reader(ds, **ASKED)
    of = {score.name: score for score in reader.scores}
    held_out = np.random.default_rng(0).permutation(600)[:120]
    assert of["row"].images == (held_out >= 300).sum()
    assert of["column"].images == 120
    assert reader.trusted == ("row", "column")


def test_a_factor_is_read_alone_when_it_is_named(trained, squares):
    reader = vl.factor_reader(squares(), ["column"], **ASKED)
    assert list(reader.read(torch.rand(2, 1, 16, 16))) == ["column"]
    assert same_weights(reader, trained[0])


def test_an_untrusted_factor_is_refused_when_it_is_named(trained, squares):
    message = (
        r"'nothing' is read with an accuracy of .* at least .* expected .* more steps=, or leave .*'row', 'column'"
    )
    with pytest.raises(vl.VaelensError, match=message):
        vl.factor_reader(squares(), ["row", "nothing"], **ASKED)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"factors": ["rwo"]}, "unknown factor 'rwo'.*did you mean 'row'"),
        ({"factors": []}, "factors is empty"),
        ({"factors": ["row", "row"]}, "'row' more than once"),
        ({"steps": 0}, "steps is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"device": "abacus"}, "'abacus' was asked for"),
        ({"progress": "loud"}, "progress is 'loud'"),
    ],
)
def test_what_does_not_fit_is_refused(trained, squares, asked, message):
    with pytest.raises(vl.VaelensError, match=message):
        vl.factor_reader(squares(), **(ASKED | asked))


def test_there_must_be_something_to_read(squares):
    with pytest.raises(vl.VaelensError, match="no factor of two values"):
        vl.factor_reader(vl.ArrayDataset(np.zeros((4, 1, 8, 8), np.uint8)))
    with pytest.raises(vl.VaelensError, match="ds is a Tensor; expected a dataset"):
        vl.factor_reader(torch.zeros(4, 1, 8, 8))
