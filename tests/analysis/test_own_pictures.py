"""Photographs in a folder, as a user has them: of all sizes, without labels, or with labels that are not complete."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import vaelens as vl
from vaelens.data import FolderDataset


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """200 pictures of hills under a sky, JPEG and PNG, of many sizes."""
    folder, rng = tmp_path_factory.mktemp("photographs"), np.random.default_rng(0)
    for k in range(200):
        width, height = rng.integers(40, 90, size=2)
        column = np.linspace(0, 3 + rng.random() * 3, width)
        hills = height * (0.4 + 0.2 * np.sin(column + 6 * rng.random()))
        below = np.arange(height)[:, None] > hills
        pixels = np.where(below[..., None], rng.integers(0, 130, 3), rng.integers(120, 255, 3))
        noisy = np.clip(pixels + rng.normal(0, 6, pixels.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / f"{k:03d}.{'jpg' if k % 2 else 'png'}")
    return folder


@pytest.fixture
def lens(linear_of):
    """An untrained linear VAE of 2 latents for pictures of 8×8."""
    rng = np.random.default_rng(1)
    encoder, decoder = rng.normal(size=(2, 192)) / 14, rng.normal(size=(192, 2)) / 10
    return linear_of(encoder, decoder, b=np.full(192, 0.5), shape=(3, 8, 8), logvar=[-1.0, -1.0], dtype=torch.float32)


def test_200_photographs_without_labels(photographs, lens):
    ds = FolderDataset(photographs, size=8, crop="center")
    assert len(ds) == 200
    analysis = vl.analyse(lens, ds, n=12, progress=False)
    assert "importance" not in analysis.effects
    assert list(analysis.effects["mediation"]["treatment"].values) == ["another image"]
    assert "factor" not in analysis.effects["input"].dims
    described = analysis.provenance["dataset"]
    assert described["length"] == 200
    assert described["factor_names"] == []
    assert described["options"]["size"] == [8, 8]
    assert described["options"]["crop"] == "center"
    assert all(analysis.provenance["checks"].values())


def test_missing_labels_are_left_out_of_what_needs_them_alone(photographs, lens):
    names = [f"{k:03d}.{'jpg' if k % 2 else 'png'}" for k in range(200)]
    table = pd.DataFrame({"file": names, "hue": np.arange(200) % 4, "weight": np.linspace(0.5, 9.7, 200)})
    table.loc[table.index % 10 > 0, "weight"] = np.nan
    ds = FolderDataset(photographs, size=8, crop="center", labels=table, levels=2)
    assert ds.missing == {"weight": 180}
    analysis = vl.analyse(lens, ds, n=12, progress=False)
    assert list(analysis.effects["mediation"]["treatment"].values) == ["hue", "weight"]
    # DCI and MIG had the 20 images with all labels, of 200.
    assert analysis.effects["importance"].attrs["mig_made"].startswith("20 codes")
    assert analysis.provenance["dataset"]["missing_labels"] == {"weight": 180}
