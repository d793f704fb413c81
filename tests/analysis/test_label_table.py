import numpy as np
import pandas as pd
import pytest

import vaelens as vl
from vaelens.analysis.image_pool import ImagePool, codes_at
from vaelens.analysis.label_table import LABELS, label_table
from vaelens.metrics.association import association


@pytest.fixture(scope="module")
def ds():
    rng = np.random.default_rng(0)
    age = rng.uniform(20, 80, size=400)
    table = pd.DataFrame({"age": age, "kind": rng.choice(["a", "b", "c"], size=400), "hour": rng.integers(0, 24, 400)})
    table.loc[::4, "age"] = np.nan
    return vl.ArrayDataset(rng.random((400, 1, 8, 8)), table, kinds={"hour": "circular"}, levels=4)


@pytest.fixture(scope="module")
def codes(ds):
    rng = np.random.default_rng(1)
    age = np.nan_to_num(ds.raw_values["age"], nan=50)
    kind, hour = ds.factor_values(np.arange(400))[:, 1:].T
    both = np.where(kind == 0, 1, -1) * rng.choice([-1, 1], size=400)  # what follows tells the kind by a product alone
    return np.stack([age + rng.normal(size=400), hour, both, both * np.where(kind == 0, 1, -1)], axis=1)


@pytest.fixture(scope="module")
def table(ds, codes):
    return label_table(codes, ds, np.arange(400), seed=0)


def test_it_is_as_its_schema_says(table):
    assert LABELS.faults(table) == []
    assert table.measure.values.tolist() == ["spearman", "eta_squared", "circular_linear"]
    assert table.labelled.values.tolist() == [300, 400, 400]


def test_numbers_are_uncut_and_missing_labels_left_out(ds, codes, table):
    age = ds.raw_values["age"]
    uncut = association(codes, age, "continuous")
    np.testing.assert_array_equal(table.association.sel(factor="age"), uncut.values)
    bins = ds.factor_values(np.arange(400))[:, 0].astype(float)
    binned = association(codes, np.where(bins < 0, np.nan, bins), "ordinal")
    assert uncut.values[0] > 0.99 > binned.values[0]


def test_it_says_where_a_reader_would_tell_more(table):
    """Two latents whose product is whether the kind is a tell it together, and neither does alone."""
    assert table.association.sel(factor="kind").max() < 0.1
    assert float(table.predicted.sel(factor="kind")) > 0.4
    assert table.reader_tells_more.values.tolist() == [False, True, False]
    assert table.association_best.sel(factor="age").values.tolist() == [True, False, False, False]


def test_a_label_with_one_value_among_these_images_has_no_association(ds, codes):
    only_a = np.flatnonzero(ds.factor_values(np.arange(400))[:, 1] == 0)
    table = label_table(codes[only_a], ds, only_a, seed=0)
    assert table.measure.values.tolist() == ["spearman", "none", "circular_linear"]
    assert np.isnan(table.association.sel(factor="kind")).all()
    assert not table.reader_tells_more.sel(factor="kind")


def test_the_part_of_an_analysis_takes_all_images_that_have_a_label(ds):
    lens = vl.Lens(vl.build_model("vae", image_shape=(1, 8, 8), latent_dim=3))
    analysis = vl.analyse(lens, ds, n=8, only="labels", progress=False)
    assert analysis.effects["labels"].attrs["images"] == 400
    indices = ImagePool(ds).draw(400, seed=2, labelled="any")
    expected = label_table(codes_at(lens, ds, indices), ds, indices, seed=0)
    np.testing.assert_array_equal(analysis.effects["labels"].association, expected.association)


def test_images_without_any_label_are_not_drawn():
    labels = pd.DataFrame(
        {
            "x": [0.1, np.nan, 0.3, np.nan] * 5,
            "y": ["a", None, None, None, "b", None, None, None] * 2 + ["b", None, None, None],
        }
    )
    ds = vl.ArrayDataset(np.random.default_rng(0).random((20, 1, 8, 8)), labels)
    pool = ImagePool(ds)
    assert (pool.count(), pool.count("any"), pool.count("all")) == (20, 10, 5)
    assert set(pool.draw(10, seed=0, labelled="any")) == set(range(0, 20, 2))
    assert set(pool.draw(5, seed=0, labelled="all")) == set(range(0, 20, 4))
    some = ImagePool(ds, np.array([0, 1, 2, 3]))
    assert (some.count(), some.count("any"), some.count("all")) == (4, 2, 1)
    assert set(some.draw(2, seed=0, labelled="any")) == {0, 2}
