import gzip
import struct

import numpy as np
import pytest

from vaelens.data.official.binary_matrix import open_binary_matrix
from vaelens.errors import VaelensError


@pytest.mark.parametrize("packed", [True, False])
def test_the_bytes_of_the_format_are_read_as_they_are_documented(tmp_path, packed):
    # The magic number of 32-bit integers, 2 dimensions, the shape 2 × 3 and an unused length, then the values.
    data = bytes.fromhex("544c3d1e 02000000 02000000 03000000 01000000") + struct.pack("<6i", 0, 1, -2, 3, 70_000, 5)
    path = tmp_path / ("a.mat.gz" if packed else "a.mat")
    path.write_bytes(gzip.compress(data) if packed else data)
    matrix = open_binary_matrix(path)
    assert (matrix.shape, str(matrix.dtype)) == ((2, 3), "int32")
    assert matrix.read().tolist() == [[0, 1, -2], [3, 70_000, 5]]


def test_bytes_above_127_stay_positive(tmp_path, official):
    official.matrix(tmp_path / "a.mat", np.array([[200, 255]], np.uint8), packed=False)
    assert open_binary_matrix(tmp_path / "a.mat").read().tolist() == [[200, 255]]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "does not read as a binary matrix"),
        (b"MATLAB 5.0 MAT-file ....", "begins with 0x4c54414d, which is the magic number of no binary matrix"),
        (struct.pack("<5i", 0x1E3D4C55, 99, 1, 1, 1), "names 99 dimensions"),
        (struct.pack("<5i", 0x1E3D4C55, 2, -4, 1, 1), r"names the shape \(-4, 1\)"),
        (struct.pack("<5i", 0x1E3D4C55, 3, 2**30, 2**30, 2**30), "promises 1,237,940,039,285,380,274,899,124,244 b"),
        (struct.pack("<5i", 0x1E3D4C55, 1, 3, 1, 1) + b"ab", "promises 23 bytes and it has 22"),
        (struct.pack("<5i", 0x1E3D4C55, 1, 3, 1, 1) + b"abcd", "promises 23 bytes and it has 24"),
    ],
)
def test_refuses_what_is_no_matrix(tmp_path, data, message):
    path = tmp_path / "a.mat"
    path.write_bytes(data)
    with pytest.raises(VaelensError, match=message):
        open_binary_matrix(path)


def test_refuses_a_packed_matrix_that_is_cut_or_longer_than_it_says(tmp_path, official):
    data = official.matrix_bytes(np.arange(200, dtype=np.int32))
    path = tmp_path / "a.mat.gz"
    for packed, message in (
        (gzip.compress(data[:-8]), "ends after 198 of 200 rows"),
        (gzip.compress(data + b"1234"), "goes on after its 200 rows"),
        (gzip.compress(data)[:-20], "does not read as a binary matrix"),
        (gzip.compress(struct.pack("<5i", 0x1E3D4C55, 3, 2**30, 9, 9)), "more than .* packed bytes can hold"),
    ):
        path.write_bytes(packed)
        with pytest.raises(VaelensError, match=message):
            open_binary_matrix(path).read()
