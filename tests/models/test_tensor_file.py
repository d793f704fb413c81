import json
import os
import struct

import pytest
import safetensors.torch
import torch

from vaelens.errors import VaelensError
from vaelens.models.tensor_file import read_tensors, write_tensors

TENSORS = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(7), "c": torch.zeros(0, 2, dtype=torch.bfloat16)}
FACTS = {"step": 3, "words": ["é", None]}


@pytest.fixture
def path(tmp_path):
    write_tensors(tmp_path / "file", TENSORS, FACTS)
    return tmp_path / "file"


def with_header(path, header, size=0):
    header = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    os.truncate(path, path.stat().st_size + size)


def test_tensors_and_facts_come_back_and_the_file_is_the_same_every_time(path, tmp_path):
    tensors, facts = read_tensors(path, "")
    assert facts == FACTS
    assert tensors.keys() == TENSORS.keys()
    assert all(
        torch.equal(tensor, TENSORS[name]) and tensor.dtype == TENSORS[name].dtype for name, tensor in tensors.items()
    )
    for _ in range(5):  # several entries of metadata would come in another order each time
        write_tensors(tmp_path / "again", TENSORS, FACTS)
        assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_what_shares_memory_is_written_for_each(tmp_path):
    shared = torch.arange(4.0)
    write_tensors(tmp_path / "file", {"a": shared, "b": shared.view(2, 2).T}, {})
    tensors, _ = read_tensors(tmp_path / "file", "")
    assert torch.equal(tensors["a"], shared)
    assert torch.equal(tensors["b"], shared.view(2, 2).T)


def test_any_bit_that_changed_is_noticed(path):
    content = path.read_bytes()
    begin = 8 + int.from_bytes(content[:8], "little")
    places = [*range(begin, len(content)), content.index(b"step") + 8]
    for place in places:
        path.write_bytes(content[:place] + bytes([content[place] ^ 2]) + content[place + 1 :])
        with pytest.raises(VaelensError, match=r"is damaged .*; save it again"):
            read_tensors(path, "save it again")


def test_a_file_of_others_is_read_without_a_checksum(tmp_path):
    safetensors.torch.save_file({"a": torch.ones(2)}, tmp_path / "file", metadata={"format": "pt"})
    assert read_tensors(tmp_path / "file", "")[1] == {}


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.complex64])
def test_numbers_that_nothing_computes_with_are_refused(dtype, tmp_path):
    safetensors.torch.save_file({"a": torch.ones(2).to(dtype)}, tmp_path / "file")
    with pytest.raises(VaelensError, match=rf"holds a as {dtype}, which PyTorch stores but does not compute with"):
        read_tensors(tmp_path / "file", "")


def test_a_header_or_holes_that_would_take_far_more_memory_than_the_file_are_refused(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(struct.pack("<Q", 2**40) + b"{}")
    with pytest.raises(VaelensError, match="its header would take 1,099,511,627,776 bytes, more than the 16,777,216"):
        read_tensors(path, "")
    numbers = 5 * 10**9
    with_header(path, {"a": {"dtype": "F32", "shape": [numbers], "data_offsets": [0, 4 * numbers]}}, 4 * numbers)
    with pytest.raises(VaelensError, match=r"it would unpack [\d,]+ bytes to 20,000,000,\d+, and at most 64 times"):
        read_tensors(path, "")


@pytest.mark.parametrize(
    "header",
    [
        {"__metadata__": {"vaelens": "[" * 10**5}},
        {"__metadata__": {"vaelens": "3"}},
        {"a": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 0]}},
    ],
)
def test_a_crafted_header_is_one_sentence(header, tmp_path):
    with_header(tmp_path / "file", header)
    with pytest.raises(VaelensError, match=r"is damaged \(.*\); save it again"):
        read_tensors(tmp_path / "file", "save it again")
