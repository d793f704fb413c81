"""Squares whose row and column anyone can read, and a label that nothing shows."""

import numpy as np
import pytest

import vaelens as vl

KINDS = {"row": "ordinal", "column": "categorical", "nothing": "categorical"}


def made(images=600, missing=0):
    """Squares in one of 3 rows and 4 columns; of some the row is not known."""
    rng = np.random.default_rng(0)
    labels = np.stack([rng.integers(size, size=images) for size in (3, 4, 2)], axis=1)
    pixels = np.zeros((images, 1, 16, 16), np.uint8)
    for image, (row, column, _) in zip(pixels, labels, strict=True):
        image[0, 4 * row + 1 : 4 * row + 5, 3 * column + 1 : 3 * column + 4] = 255
    table = {name: labels[:, k].astype(float) for k, name in enumerate(KINDS)}
    table["row"][:missing] = np.nan
    return pixels, table


@pytest.fixture(scope="session")
def squares():
    """Builds the dataset."""
    pd = pytest.importorskip("pandas")

    def build(images=600, missing=0):
        pixels, table = made(images, missing)
        columns = {
            name: pd.array(np.where(np.isnan(values), -1, values).astype(int), dtype="Int64")
            for name, values in table.items()
        }
        frame = pd.DataFrame(columns)
        return vl.ArrayDataset(pixels, frame.mask(frame < 0), kinds=KINDS)

    return build


@pytest.fixture(scope="session")
def trained(squares, _own_cache):
    """A reader of the squares, and what it cost: the steps that it reported."""
    steps = []
    reader = vl.factor_reader(
        squares(), steps=80, batch_size=32, device="cpu", progress=lambda *done: steps.append(done)
    )
    return reader, steps
