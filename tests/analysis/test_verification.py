"""Numbers that are made again, and what is said of those that don't come out."""

import functools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

import vaelens as vl
from vaelens.analysis.agreement import compare_parts, compare_scores

PARTS = ["reconstruction", "latent", "patching", "pictures"]


@functools.cache
def dataset(level=0.3):
    rng = np.random.default_rng(0)
    factors = rng.integers(0, 3, size=(40, 1))
    images = rng.random((40, 1, 8, 8)) * 0.2 + factors[:, :1, None, None] * level
    return vl.ArrayDataset(images.clip(0, 1), factors, names=["level"])


@functools.cache
def lens(seed=0):
    return vl.Lens(vl.build_model("vae", image_shape=(1, 8, 8), latent_dim=2, seed=seed))


@pytest.fixture(scope="module")
def analysis():
    return vl.analyse(lens(), dataset(), n=16, only=PARTS, progress=False)


@pytest.fixture(scope="module")
def small():
    return vl.analyse(lens(), dataset(), n=16, only="reconstruction", progress=False)


def verified(analysis, a_lens=None, ds=None, **options):
    return vl.verify(analysis, a_lens or lens(), ds or dataset(), progress=False, **options)


def statuses(verification):
    return verification.table()["status"].to_dict()


def with_part(analysis, name, change):
    part = analysis.effects[name].copy(deep=True)
    change(part)
    return replace(analysis, effects={**analysis.effects, name: part})


def test_every_bit_comes_out_again_from_a_folder_too_and_nothing_is_written(analysis, tmp_path):
    analysis.save(tmp_path / "kept")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    for found in (analysis, tmp_path / "kept"):
        verification = verified(found)
        assert statuses(verification) == dict.fromkeys([*PARTS, "scores"], "agrees exactly")
        assert (verification.holds, verification.causes) == (True, ())
    assert verification.conclusion == "5 of 5 parts agree, 5 of them exactly"
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_what_was_cut_short_is_made_again_as_short():
    made = vl.analyse(lens(), dataset(), n=20, only=["latent", "patching"], minutes=1e-5, progress=False)
    assert made.provenance["parts"]["patching"]["sites"] < made.provenance["parts"]["patching"]["of_sites"]
    assert verified(made).conclusion == "3 of 3 parts agree, 3 of them exactly"


def test_a_number_that_was_changed_is_found_with_its_place(analysis):
    def change(part):
        part["ces"][1] += 0.5

    verification = verified(with_part(analysis, "latent", change))
    found = verification.table().loc["latent"]
    assert (found["status"], found["where"]) == ("differs", "ces at latent 1")
    assert found["difference"] == pytest.approx(0.5)
    assert not verification.holds
    assert verification.conclusion.startswith("latent differs: model, data, versions and precision are as recorded")


def test_another_model_other_data_and_other_versions_are_named(small):
    other = verified(small, lens(seed=1))
    assert other.causes == ("another model (weights_sha256)",)
    assert statuses(other)["reconstruction"] == "differs"
    assert "likely because of another model" in other.conclusion
    assert verified(small, ds=dataset(0.25)).causes == ("another dataset (content_sha256)",)
    versions = {**small.provenance["versions"], "torch": "1.0"}
    older = replace(small, provenance={**small.provenance, "versions": versions})
    verification = verified(older)
    assert verification.causes == (f"other versions (torch 1.0, not {torch.__version__})",)
    assert verification.holds, "the numbers agree all the same"
    assert "although: other versions" in verification.conclusion


def test_the_recorded_precision_is_what_is_computed_in():
    made = vl.analyse(lens().with_precision("bf16"), dataset(), n=8, only="latent", progress=False)
    assert verified(made).holds
    assert statuses(verified(made))["latent"] == "agrees exactly"


def test_a_part_that_cannot_be_made_says_why(analysis):
    class Reads:
        factors, accuracy, identity = ("level",), {"level": 1.0}, "by hand"

    read = {**analysis.provenance, "parts": {**analysis.provenance["parts"], "read": {"taken": 16}}}
    with_read = replace(analysis, effects={**analysis.effects, "read": xr.Dataset()}, provenance=read)
    verification = verified(with_read)
    row = verification.table().loc["read"]
    assert (row["status"], row["why"]) == ("could not be recomputed", "no reader was given")
    assert verification.holds
    assert verification.conclusion == "5 of 6 parts agree, 5 of them exactly; 1 could not be recomputed"


def part_of(values, **attributes):
    return xr.Dataset({"effect": ("unit", np.asarray(values))}, {"unit": ["a", "b"]}, attributes)


@pytest.mark.parametrize(
    ("kept", "now", "status", "where"),
    [
        (part_of([1.0, np.nan]), part_of([1.0, np.nan]), "agrees exactly", ""),
        (part_of([2.0, 0.0]), part_of([2.0, 1.9e-4]), "within rounding", "effect at unit b"),
        (part_of([2.0, 0.0]), part_of([2.0, 2.1e-4]), "differs", "effect at unit b"),
        (part_of([2.0, np.nan]), part_of([2.0, 0.0]), "differs", "effect at unit b"),
        (part_of([2, 0]), part_of([3, 0]), "differs", "effect at unit a"),
        (part_of([2.0, 0.0], images=8), part_of([2.0, 0.0], images=9), "differs", "attribute images"),
        (part_of([2.0, 0.0], made="x"), part_of([2.0, 0.0], made="y"), "agrees exactly", ""),
        (part_of([2.0, 0.0]), part_of([2.0, 0.0]).drop_vars("effect"), "differs", "effect is missing now"),
        (part_of([2.0, 0.0]), part_of([2.0, 0.0]).isel(unit=[0]), "differs", "effect has shape {'unit': 1}, not"),
    ],
)
def test_rounding_is_a_ten_thousandth_of_the_largest_value(kept, now, status, where):
    agreement = compare_parts("part", kept, now)
    assert agreement.status == status
    assert agreement.where.startswith(where)


def test_scores_are_compared_in_all_their_columns():
    kept = pd.DataFrame(
        {"label": "MIG", "value": 0.5, "low": 0.4, "high": 0.6, "chance": 0.0, "untrained": np.nan, "made": "bins"},
        index=["mig"],
    )
    assert compare_scores(kept, kept.copy()).status == "agrees exactly"
    assert compare_scores(kept, kept.assign(chance=4e-5)).status == "within rounding"
    found = compare_scores(kept, kept.assign(high=0.7))
    assert (found.status, found.where) == ("differs", "mig high")
    assert found.difference == pytest.approx(0.1)
    assert compare_scores(kept, kept.assign(made="trees")).where == "mig made: 'trees', not 'bins'"


def test_wrong_arguments_are_refused(analysis, tmp_path):
    with pytest.raises(vl.VaelensError, match="verify takes a Lens, got a VAE; wrap the model"):
        vl.verify(analysis, vl.build_model("vae", (1, 8, 8)), dataset())
    with pytest.raises(vl.VaelensError, match="verify takes a dataset, got a Tensor"):
        vl.verify(analysis, lens(), torch.zeros(8, 1, 8, 8))
    with pytest.raises(vl.VaelensError, match="holds no analysis"):
        verified(tmp_path)
    before = {name: value for name, value in analysis.provenance.items() if name != "asked"}
    with pytest.raises(vl.VaelensError, match="does not record its asked"):
        verified(replace(analysis, provenance=before))


def test_of_vectors_too_nothing_has_changed():
    ds = vl.ArrayDataset(torch.rand(30, 6), range=(0, 1))
    lens = vl.Lens(vl.build_model("vae", ds.observation, latent_dim=2))
    analysis = vl.analyse(lens, ds, n=8, only="latent", progress=False)
    verification = vl.verify(analysis, lens, ds, progress=False)
    assert verification.holds
    assert not verification.causes
