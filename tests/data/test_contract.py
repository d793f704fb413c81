"""What every dataset promises, held against every dataset of the catalogue and a user's own arrays."""

import json
import os
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from vaelens.data import DATASETS, ArrayDataset, CausalDataset, CollectionDataset, GridDataset, load_dataset
from vaelens.errors import VaelensError

pytestmark = pytest.mark.usefixtures("official_files")


def scattered():
    """A user's arrays with 3 factors that leave gaps in the grid and hold some combinations twice."""
    rng = np.random.default_rng(0)
    labels = rng.integers([2, 3, 4], size=(30, 3)) * 10 - 7
    return ArrayDataset(rng.random((30, 3, 6, 5), dtype=np.float32), labels, ["a", "b", "c"])


def own_files():
    """A folder of the user's pictures with a table of labels, and the same in an .npz file."""
    folder = Path(os.environ["VAELENS_CACHE"]) / "own"
    if not folder.exists():
        (folder / "pictures").mkdir(parents=True)
        pixels = np.random.default_rng(1).integers(0, 256, size=(24, 7, 9, 3), dtype=np.uint8)
        table = pd.DataFrame({"file": [f"{k:02d}.png" for k in range(24)], "shape": list("abcd") * 6})
        table["weight"] = np.linspace(0.5, 12.25, 24)
        for file, picture in zip(table["file"], pixels, strict=True):
            Image.fromarray(picture).save(folder / "pictures" / file)
        table.to_csv(folder / "pictures" / "labels.csv", index=False)
        labels = np.stack([np.arange(24) % 4, np.arange(24) // 8], axis=1)
        np.savez(folder / "own.npz", images=np.moveaxis(pixels, -1, 1), factors=labels, names=["shape", "third"])
    return folder


def items():
    """What a map-style torch Dataset gives: tensors with labels."""
    return [(torch.full((1, 6, 6), k / 20), {"tone": k // 4, "parity": k % 2}) for k in range(20)]


BUILDERS = {name: (lambda name=name: load_dataset(name)) for name in DATASETS} | {
    "arrays": scattered,
    "collection": lambda: CollectionDataset(items()),
    "folder": lambda: load_dataset("folder", root=own_files() / "pictures", labels="labels.csv", levels=5),
    "array": lambda: load_dataset("array", root=own_files() / "own.npz"),
}


@cache
def built(name):
    return BUILDERS[name]()


@pytest.mark.parametrize("name", [name for name, entry in DATASETS.items() if not entry.own])
def test_its_options_make_it_again(name):
    ds = built(name)
    if isinstance(ds, CausalDataset):
        ds = ds.do(**{ds.factors.names[-1]: 3, ds.factors.names[0]: 1})
    files = {"root": ds.root} if hasattr(ds, "root") else {}
    again = load_dataset(ds.name, **files, **json.loads(json.dumps(ds.options)))
    assert again.describe() == ds.describe()
    some = np.arange(min(len(ds), 20))
    np.testing.assert_array_equal(again.factor_values(some), ds.factor_values(some))


@pytest.fixture(params=BUILDERS)
def ds(request, official_files):
    return built(request.param)


def test_sample_has_the_promised_types_shapes_and_ranges(ds):
    x, f = ds.sample(20, seed=3)
    assert x.shape == (20, *ds.image_shape)
    assert x.dtype == torch.float32
    assert x.min() < x.max()
    if ds.observation.high is not None:
        assert 0 <= x.min() < x.max() <= 1
    assert f.shape == (20, len(ds.factors))
    assert f.dtype == torch.int64
    assert (f >= 0).all()
    assert (f < torch.tensor(ds.factors.sizes)).all()


def test_the_seed_decides_the_sample(ds):
    first, again, other = (ds.sample(20, seed=seed) for seed in (0, 0, 1))
    assert (first[0] == again[0]).all()
    assert (first[1] == again[1]).all()
    assert (first[0] != other[0]).any()


def test_the_seed_decides_the_pairs(ds):
    first, again, other = (ds.pairs(ds.factors.names[0], 20, seed=seed) for seed in (0, 0, 1))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert (first.x != other.x).any()


def test_global_random_state_is_left_alone(ds):
    before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    _, f = ds.sample(5)
    ds.pairs(ds.factors.names[-1], 5)
    ds.images(f)
    ds.describe()
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    assert (torch.get_rng_state() == torch_before).all()


def test_single_images_agree_with_batches(ds):
    places = [0, 1, len(ds) // 2, len(ds) - 1]
    batch = ds.images_at(places)
    for place, image in zip(places, batch, strict=True):
        x, f = ds[place]
        assert (x == image).all()
        assert x.dtype == torch.float32
        assert f.dtype == torch.int64
        assert f.shape == (len(ds.factors),)
        assert (ds[place - len(ds)][0] == x).all()
    for kind in (np.array, torch.tensor):
        assert (ds.images_at(kind(places)) == batch).all()


def test_iteration_ends(ds):
    for outside in (len(ds), -len(ds) - 1):
        with pytest.raises(IndexError, match=f"{ds.name} has {len(ds)} images"):
            ds[outside]
    if len(ds) < 10_000:
        assert sum(1 for _ in ds) == len(ds)


def test_pairs_and_samples_are_made_in_parts_as_they_are_at_once(ds):
    at = ds.draw(min(7, len(ds)), seed=5)
    assert torch.equal(ds.images_at(at), ds.sample(len(at), seed=5)[0])
    for factor, size in zip(ds.factors.names, ds.factors.sizes, strict=True):
        if size == 1:
            continue
        whole, drawn = ds.pairs(factor, 7, seed=2), ds.pair_draw(factor, 7, seed=2)
        assert len(drawn) == 7
        parts = [drawn[slice(start, start + 3)] for start in range(0, 7, 3)]
        for name in ("x", "x2", "f", "f2", "matched"):
            assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name)), name


def test_thousands_of_pairs_are_drawn_a_part_at_a_time_and_cost_a_few_bytes_each(ds):
    k = int(np.argmax(ds.factors.sizes))
    drawn = ds.pair_draw(ds.factors.names[k], 5000, seed=1)
    f, f2 = (drawn.factors(rows.astype(np.int64)) for rows in (drawn.first, drawn.second))
    assert (f[:, k] != f2[:, k]).all()
    assert (torch.from_numpy(drawn.matched) == ((f != f2).sum(dim=1) == 1)).all()
    assert not torch.equal(f[:2048], f[2048:4096]), "a later part repeats none before it"
    assert max(drawn.first.nbytes, drawn.second.nbytes) <= 5000 * 4 * (1 if drawn.first.ndim == 1 else len(ds.factors))


def test_pairs_differ_in_the_factor_and_match_in_the_others(ds):
    for k, factor in enumerate(ds.factors.names):
        pairs = ds.pairs(factor, 30, seed=k)
        x, x2, f, f2 = pairs
        others = [column for column in range(len(ds.factors)) if column != k]
        assert x.shape == x2.shape == (30, *ds.image_shape)
        assert (f[:, k] != f2[:, k]).all()
        assert ((f[:, others] == f2[:, others]).all(dim=1) == pairs.matched).all()
        assert (pairs.matched == (pairs.distance == 0)).all()
        assert pairs.factor == factor
        assert repr(pairs) == f"Pairs(factor={factor!r}, n=30, matched={int(pairs.matched.sum())})"


def test_control_pairs_have_the_same_value_and_the_first_images_of_the_pairs(ds):
    for k, factor in enumerate(ds.factors.names):
        x, x2, f, f2 = controls = ds.control_pairs(factor, 30, seed=k)
        columns = [column for column in range(len(ds.factors)) if column != k]
        assert (f[:, k] == f2[:, k]).all()
        assert ((f[:, columns] == f2[:, columns]).all(dim=1) == controls.matched).all()
        again, other = (ds.control_pairs(factor, 30, seed=seed) for seed in (k, k + 1))
        assert all(torch.equal(a, b) for a, b in zip(controls, again, strict=True))
        assert not torch.equal(x, other.x)
        assert torch.equal(f, ds.pairs(factor, 30, seed=k).f), "no image here is the only one with its value"
        if isinstance(ds, GridDataset | CausalDataset):
            assert torch.equal(x, x2)


def test_absurd_numbers_are_refused_before_any_work(ds):
    factor = ds.factors.names[0]
    for ask in (ds.pairs, ds.pair_draw, ds.control_pairs):
        with pytest.raises(VaelensError, match="n is 1000000000; expected at most 10,000,000 pairs in one call"):
            ask(factor, 10**9)
    with pytest.raises(VaelensError, match=f"{ds.name} has {len(ds)} images, got n={10**9}"):
        ds.sample(10**9)
    one_too_many = np.zeros(2**31 // int(np.prod(ds.image_shape)) + 1, dtype=np.int64)  # a pixel takes 4 bytes
    with pytest.raises(VaelensError, match=rf"images of {ds.name} take 8.59 GB at once, the bound is 8.59 GB; make at"):
        ds._images(one_too_many)


def test_images_at_factor_values_are_the_dataset_s(ds):
    x, f = ds.sample(8, seed=2)
    found = ds.images(f)
    assert found.shape == x.shape
    assert found.dtype == torch.float32
    assert (ds.images(f.numpy()) == found).all()
    assert (ds.images(f.tolist()) == found).all()
    if isinstance(ds, GridDataset | CausalDataset):
        assert (found == x).all()
    else:
        everything = [ds[place] for place in range(len(ds))]
        for image, values in zip(found, f, strict=True):
            assert any((image == x).all() for x, labels in everything if (labels == values).all())


def test_describe_is_plain_and_repeats(ds):
    described = ds.describe()
    assert json.loads(json.dumps(described)) == described == BUILDERS[ds.name]().describe()
    assert described["name"] == ds.name
    assert described["length"] == len(ds)
    assert described["factor_names"] == list(ds.factors.names)
    assert len(described["content_sha256"]) == 64


def test_descriptions_tell_content_apart():
    black = np.zeros((3, 1, 4, 4), dtype=np.uint8)
    white_dot = black.copy()
    white_dot[2, 0, 3, 3] = 255
    labels = [[0], [1], [1]]
    hashes = {
        ArrayDataset(images, f).describe()["content_sha256"]
        for images, f in ((black, labels), (white_dot, labels), (black, [[0], [1], [0]]))
    }
    assert len(hashes) == 3


def test_repr_names_length_shape_and_factors(ds):
    assert repr(ds).startswith(f"<{ds.name}: {len(ds):,} {ds.observation.noun} of ")
    assert all(name in repr(ds) for name in ds.factors.names)


@pytest.mark.parametrize("seed", [-1, 0.5, None, "0", True])
def test_refuses_a_wrong_seed(ds, seed):
    for draw in (ds.sample, lambda n, seed: ds.pairs(ds.factors.names[0], n, seed)):
        with pytest.raises(VaelensError, match=r"seed is .*; expected a whole number from 0 to"):
            draw(3, seed=seed)


@pytest.mark.parametrize("n", [0, -2, 1.5, "3"])
def test_refuses_a_wrong_number(ds, n):
    with pytest.raises(VaelensError, match=r"n is .*; expected a whole number of at least 1"):
        ds.sample(n)
    with pytest.raises(VaelensError, match=r"n is .*; expected a whole number of at least 1"):
        ds.pairs(ds.factors.names[0], n)


def test_refuses_more_than_there_are(ds):
    with pytest.raises(VaelensError, match=f"{ds.name} has {len(ds)} images, got n={len(ds) + 1}"):
        ds.sample(len(ds) + 1)


def test_refuses_wrong_factor_values(ds):
    width, first = len(ds.factors), ds.factors.names[0]
    good = [0] * width
    with pytest.raises(VaelensError, match=rf"must have shape \(n, {width}\), got \(1, {width + 1}\)"):
        ds.images([[*good, 0]])
    with pytest.raises(VaelensError, match=rf"must have shape \(n, {width}\), got \({width},\)"):
        ds.images(good)
    with pytest.raises(VaelensError, match="must be whole numbers, got an array of float64"):
        ds.images(np.zeros((1, width)))
    top = ds.factors.sizes[0]
    for wrong in (top, -1):
        with pytest.raises(VaelensError, match=rf"'{first}' takes values 0..{top - 1}, got {wrong} \(row 1\)"):
            ds.images([good, [wrong, *good[1:]]])


def test_refuses_wrong_indices(ds):
    for wrong in (len(ds), -1):
        with pytest.raises(VaelensError, match=rf"must lie in 0..{len(ds) - 1}, got {wrong}"):
            ds.images_at([0, wrong])
    with pytest.raises(VaelensError, match=r"must have shape \(n,\), got \(1, 1\)"):
        ds.images_at([[0]])
    with pytest.raises(VaelensError, match="indices must be whole numbers, got an array of float64"):
        ds.images_at([0.5])
    with pytest.raises(VaelensError, match=r"takes one whole number as an index, got slice; images_at"):
        ds[:3]


def test_refuses_pairs_in_an_unknown_factor(ds):
    with pytest.raises(VaelensError, match="unknown factor 'nothing'; known: "):
        ds.pairs("nothing", 3)
