"""Datasets of vectors: cells whose programs are known, tables, and annotated matrices."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse, stats

import vaelens as vl
from vaelens.data.vectors.cells import NORMALISED_TO, Cells, _poisson_quantile


def test_a_pair_of_cells_differs_in_its_programs_genes_and_nothing_else_is_drawn_anew():
    ds = vl.load_dataset("cells", length=300)
    counts = vl.load_dataset("cells", length=300, counts=True)
    for factor in (0, 3):
        pairs = counts.pairs(f"program_{factor}", 60, seed=1)
        own = ds.program == factor
        more = pairs.f2[:, factor] > pairs.f[:, factor]
        change = (pairs.x2 - pairs.x).numpy()
        assert (change[more][:, own] >= 0).all()  # one cell, the same random numbers: a larger rate, no smaller count
        assert (change[more][:, ~own] <= 0).all()  # shares add up to one
        assert np.abs(change[:, own]).mean() > 3 * np.abs(change[:, ~own]).mean()
    again = ds.pairs("program_0", 60, seed=1)
    assert torch.equal(again.x, ds.pairs("program_0", 60, seed=1).x)
    assert set(again.context) == {"batch", "library"}
    assert not ds.control_draw("program_0", 5)[:].distance.any()


def test_cells_are_normalised_counts_of_their_batch_and_library():
    ds, counted = (Cells(length=2000, counts=counts, seed=3) for counts in (False, True))
    at = np.arange(2000)
    counts, context = counted.images_at(at).numpy(), counted.context_at(at)
    total = counts.sum(axis=1)
    expected = np.log1p(NORMALISED_TO * counts / total[:, None])
    np.testing.assert_allclose(ds.images_at(at).numpy(), expected, rtol=1e-6)
    assert (counts == np.rint(counts)).all()
    np.testing.assert_allclose(np.log(total), context["library"], atol=0.3)  # a Poisson total about its mean
    assert np.log(total / np.exp(context["library"])).mean() == pytest.approx(0, abs=0.01)
    # In each batch the genes of no program have levels of their own: far more apart than chance lets them be.
    free = counted.program < 0
    means = np.stack([expected[context["batch"] == batch][:, free].mean(axis=0) for batch in range(3)])
    assert np.abs(means[0] - means[1]).mean() > 0.1
    assert counted.observation.groups["program_2"] == tuple(np.flatnonzero(counted.program == 2))


def test_counts_are_poisson_quantiles():
    chance, mean = np.meshgrid(np.linspace(0.001, 0.999, 97), [0.01, 0.7, 3.0, 250.0])
    np.testing.assert_array_equal(_poisson_quantile(chance, mean), stats.poisson.ppf(chance, mean))


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "size": [1.0, 2.0, None, 6.0],
            "colour": ["red", "blue", "red", None],
            "grade": pd.Categorical(["low", "high", "mid", "low"], ["low", "mid", "high"], ordered=True),
            "wild": [True, False, True, True],
            "sort": ["a", "b", "b", "a"],
            "site": ["x", "y", "y", "x"],
        }
    )


def test_a_table_becomes_vectors_and_back(frame):
    ds = vl.TableDataset(frame, factors=["sort"], context=["site"])
    assert ds.observation.features == (
        "size",
        "size missing",
        "colour=blue",
        "colour=red",
        "colour missing",
        "grade",
        "wild=False",
        "wild=True",
    )
    x = ds.images_at([0, 1, 2, 3]).numpy()
    spread = np.std([1, 2, 6])
    np.testing.assert_allclose(x[:, 0], [-2 / spread, -1 / spread, 0, 3 / spread], rtol=1e-6)
    np.testing.assert_array_equal(x[:, 1:5], [[0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]])
    np.testing.assert_allclose(x[:, 5], (np.array([0, 2, 1, 0]) - 0.75) / np.std([0, 2, 1, 0]), rtol=1e-6)
    assert ds.observation.groups == {"size": (0, 1), "colour": (2, 3, 4), "grade": (5,), "wild": (6, 7)}
    assert ds.context_at(np.arange(4)) == {"site": pytest.approx([0, 1, 1, 0])}
    assert ds.factors.names == ("sort",)
    back = ds.frame_of(torch.from_numpy(x[:2]))
    pd.testing.assert_frame_equal(
        back,
        pd.DataFrame({"size": [1.0, 2.0], "colour": ["red", "blue"], "grade": ["low", "high"], "wild": [True, False]}),
        check_dtype=False,
    )


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda frame: frame.to_numpy(), {}, "frame is a ndarray; expected a pandas DataFrame"),
        (lambda frame: frame[:0], {}, "frame is one without rows"),
        (lambda frame: frame, {"factors": ["sorts"]}, "unknown column in factors 'sorts'; .*did you mean 'sort'"),
        (lambda frame: frame, {"kinds": {"colour": "continuous"}}, "column 'colour' holds no numbers, so it can't be"),
        (lambda frame: frame, {"context": ["size"]}, "context 'size' has gaps; fill them, or leave the rows out"),
        (lambda frame: frame.assign(size=np.inf), {}, "column 'size' holds an infinite number"),
        (lambda frame: frame[["sort"]], {"factors": ["sort"]}, "no column is left to be a feature"),
    ],
)
def test_tables_that_are_none_are_refused(frame, change, options, message):
    with pytest.raises(vl.VaelensError, match=message):
        vl.TableDataset(change(frame), **options)


def annotated(matrix):
    obs = pd.DataFrame(
        {"batch": pd.Categorical(["b", "a", "b"], ["b", "a"]), "size_factor": [1.0, 2.0, 3.0], "type": ["t", "b", "t"]},
        index=["c0", "c1", "c2"],
    )
    var = pd.DataFrame({"mt": [False, True, True]}, index=["g0", "mt1", "mt2"])
    obsm = {"proteins": sparse.csr_matrix(np.eye(3)), "texts": np.array(["a", "b", "c"]), "gaps": np.full(3, np.nan)}
    layers = {"counts": matrix * 2}
    return SimpleNamespace(X=matrix, layers=layers, obs=obs, obsm=obsm, var=var, var_names=var.index)


@pytest.mark.parametrize("made", [np.asarray, sparse.csr_matrix, sparse.csr_array], ids=["dense", "matrix", "array"])
def test_an_annotated_matrix_is_rows_of_named_genes(made):
    values = np.array([[0, 1, 2], [3, 0, 0], [0, 0, 5]], dtype=np.float32)
    adata = annotated(made(values))
    ds = vl.AnnDataset(adata, layer="counts", context=["batch", "size_factor"], factors=["type"], groups=["mt"])
    assert torch.equal(ds.images_at([2, 0]), torch.from_numpy(2 * values[[2, 0]]))
    assert ds.observation.features == ("g0", "mt1", "mt2")
    assert ds.observation.groups == {"mt": (1, 2)}
    assert ds.observation.distance == "L2 in counts"
    context = ds.context_at(np.array([1, 2]))
    assert context["batch"].tolist() == [1, 0]  # in the order of the categories
    assert context["size_factor"].tolist() == [2.0, 3.0]
    assert ds.factors.names == ("type",)
    with pytest.raises(vl.VaelensError, match="unknown layer 'count'; known: counts; did you mean 'counts'"):
        vl.AnnDataset(adata, layer="count")
    with pytest.raises(vl.VaelensError, match=r"unknown column of obs in context 'batches'; .*did you mean 'batch'"):
        vl.AnnDataset(adata, context=["batches"])
    proteins = vl.AnnDataset(adata, context={"p": "proteins", "batch": "batch"}).context_at(np.array([2]))
    assert (proteins["p"].tolist(), proteins["batch"].tolist()) == ([[0.0, 0.0, 1.0]], [0])
    for name, message in (("texts", "holds no numbers; leave it out"), ("gaps", "holds NaN or infinity; fill them")):
        with pytest.raises(vl.VaelensError, match=rf"obsm\['{name}'\] {message}"):
            vl.AnnDataset(adata, context=[name])
    with pytest.raises(vl.VaelensError, match=r"a list has no X; expected an anndata\.AnnData"):
        vl.AnnDataset([1])


def test_arrays_of_vectors_series_and_volumes_are_datasets():
    counts = np.arange(12).reshape(4, 3)
    ds = vl.ArrayDataset(counts, features=["a", "b", "c"], context={"batch": [0, 1, 0, 1]})
    assert torch.equal(ds.images_at([3]), torch.tensor([[9.0, 10.0, 11.0]]))
    assert repr(ds) == "<arrays: 4 vectors of 3, Factors()>"
    assert ds.context_at(np.array([1, 2]))["batch"].tolist() == [1, 0]
    assert ds.describe() != vl.ArrayDataset(counts + 1).describe()
    volumes = vl.ArrayDataset(np.random.default_rng(0).normal(size=(2, 1, 3, 4, 5)))
    assert volumes.observation.axes == ("channel", "depth", "height", "width")
    series = vl.Observation.series((2, 5), channels=["left", "right"])
    assert vl.ArrayDataset(np.zeros((3, 2, 5)), observation=series).observation is series
    with pytest.raises(vl.VaelensError, match="vectors range from 0 to 11, expected"):
        vl.ArrayDataset(counts, range=(0, 1))
    with pytest.raises(vl.VaelensError, match="vectors contain NaN"):
        vl.ArrayDataset(counts * np.nan)
    with pytest.raises(vl.VaelensError, match=r"context 'batch' has shape \(3,\); expected one row for each of 4"):
        vl.ArrayDataset(counts, context={"batch": [0, 1, 2]})
    with pytest.raises(vl.VaelensError, match=r"the array has shape \(4, 3\), and the observation says \(n, 2, 5\)"):
        vl.ArrayDataset(counts, observation=series)
    with pytest.raises(vl.VaelensError, match="2 features are named, 2 names differ; give each of 3 its own"):
        vl.ArrayDataset(counts, features=["a", "b"])
