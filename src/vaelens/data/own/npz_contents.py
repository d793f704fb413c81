"""What the arrays of an .npz file unpack to, from their headers alone."""

import math
import zipfile
from pathlib import Path

import numpy as np


def npz_contents(path: Path) -> dict[str, int]:
    """Reads the names of the arrays of an .npz file, with how many bytes each takes in memory.

    Raises:
        ValueError: If an array holds Python objects, or its header promises another size than it has.
        Exception: Whatever zipfile and NumPy raise of a damaged file.
    """
    sizes = {}
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if not info.filename.endswith(".npy"):
                continue
            name = info.filename.removesuffix(".npy")
            with archive.open(info) as member:
                version = np.lib.format.read_magic(member)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, _, dtype = read(member)
                size = math.prod(shape) * dtype.itemsize
                if not dtype.hasobject and size + member.tell() != info.file_size:
                    raise ValueError(f"{name} has shape {shape} of {dtype}, which is not the size of its data")
            sizes[name] = size
    return sizes
