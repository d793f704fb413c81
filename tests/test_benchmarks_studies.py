"""The page of a study in the documentation: written again from what is kept, with what each mean is over."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from benchmarks.study_results import tell_again

KEPT = Path(__file__).parents[1] / "docs" / "results" / "laptop"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    shutil.copytree(KEPT, folder / "laptop")
    shutil.copy(KEPT.with_suffix(".md"), folder)
    return tell_again(folder / "laptop")


def cells(page, *start):
    """The cells of the table row that begins so, by the table's head."""
    tables = [line.strip("| ").split(" | ") for line in page.read_text().splitlines() if line.startswith("|")]
    (row,) = (row for row in tables if tuple(row[: len(start)]) == start)
    head = next(row for row in reversed(tables[: tables.index(row)]) if row[0] in ("dataset", "mode"))
    return dict(zip(head, row, strict=True))


def test_the_page_that_is_kept_is_the_one_that_is_written(page):
    assert page.read_text() == KEPT.with_suffix(".md").read_text()
    assert (page.with_suffix("") / "findings.csv").read_text() == (KEPT / "findings.csv").read_text()


def test_a_mean_says_of_how_many_seeds_it_is_where_one_has_no_value(page):
    table = pd.read_parquet(KEPT / "runs.parquet")
    measured = table[(table["dataset"] == "sprites") & (table["model"] == "dip-vae-ii") & table["latent"].isna()]
    values = measured[measured["measure"] == "ces_relative"]["value"].dropna().to_numpy()

    row = cells(page, "sprites", "dip-vae-ii")

    assert len(values) == 2
    assert row["relative CES"] == f"{values.mean():.3g} ± {np.std(values, ddof=1):.1g} (2 of 3)"
    assert "(" not in row["CES"]
    assert cells(page, "pendulum", "beta-tc-vae")["relative CES"] == "–"


def test_active_latents_are_out_of_those_of_the_model(page):
    assert cells(page, "digits", "vq-vae")["active latents"] == "64 ± 0 of 64"
    assert cells(page, "digits", "vae")["active latents"] == "10 ± 0 of 10"


def test_the_table_of_modes_names_what_correlates(page):
    assert set(cells(page, "range")) >= {"relative CES and DCI", "partial r", "order, τ"}
