"""What a study found, written into a folder and read again."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from study.simulated import trade_off_table
from vaelens.errors import VaelensError
from vaelens.study import findings_of
from vaelens.study.results import StudyResults


def simulated(labels=None):
    table = trade_off_table("true")
    table["model"] = table["model"].replace(labels or {})
    runs = table[["dataset", "model", "seed"]].drop_duplicates(ignore_index=True)
    costs = runs.assign(steps=100, training=2.5, analysis=1.5, machine="m", system="s")
    curves = runs.head(1).merge(
        pd.DataFrame({"step": range(10, 110, 10), "squared_error": [10.0] * 8 + [4.0, 3.0]}), how="cross"
    )
    return StudyResults("kept", table, findings_of(table), curves, costs)


@pytest.fixture
def kept(tmp_path):
    simulated().write(tmp_path / "kept")
    return tmp_path / "kept"


def test_results_that_are_written_are_read_again(kept):
    results, again = simulated(), StudyResults.read(str(kept))

    assert again.name == "kept"
    pd.testing.assert_frame_equal(again.curves, results.curves)
    pd.testing.assert_frame_equal(again.costs, results.costs)
    assert [finding.sentence for finding in again.findings] == [finding.sentence for finding in results.findings]
    assert again.convergence["fall"].tolist() == [pytest.approx(1 - 3 / 4)]


def test_results_are_written_again_over_their_own(kept):
    before = {path.name: path.read_bytes() for path in kept.iterdir()}

    StudyResults.read(kept).write(str(kept))

    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before


def test_labels_that_look_like_numbers_or_gaps_stay_as_they_are(tmp_path):
    labels = {"vae": "010", "beta-vae": "1e3", "factor-vae": "NA", "vq-vae": "null"}
    simulated(labels).write(tmp_path)

    again = StudyResults.read(tmp_path)

    assert set(labels.values()) <= set(again.costs["model"])
    assert set(again.costs["model"]) == set(again.table["model"])


@pytest.mark.parametrize("name", ["costs.csv", "findings.json", "findings.csv", "runs.parquet"])
def test_a_users_own_file_is_not_replaced(tmp_path, name):
    (tmp_path / name).write_text("my,own\n1,2\n")

    with pytest.raises(VaelensError, match=rf"holds {name}, which is none of a study's results; give another folder"):
        simulated().write(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "my,own\n1,2\n"


def without_last_run(content):
    return b"".join(content.splitlines(keepends=True)[:-1])


@pytest.mark.parametrize(
    ("name", "damaged", "message"),
    [
        ("costs.csv", lambda content: content[: len(content) // 2], "costs.csv is cut off"),
        ("costs.csv", without_last_run, "costs.csv has 89 rows, runs.parquet 90 runs; expected a row for each"),
        ("costs.csv", lambda _: b"a,b\n1,2\n", "costs.csv has no column dataset, model"),
        ("costs.csv", lambda content: content.replace(b"2.5", b"abc"), "abc"),
        ("curves.parquet", lambda _: b"", "curves.parquet"),
    ],
)
def test_a_damaged_file_is_one_sentence(kept, name, damaged, message):
    (kept / name).write_bytes(damaged((kept / name).read_bytes()))

    with pytest.raises(VaelensError, match=f"kept' holds no results of a study, or damaged ones .*{message}"):
        StudyResults.read(kept)


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("runs", "curves", r"curves\.parquet has no column step, squared_error"),
        ("curves", "runs", "the table is no study's"),
    ],
)
def test_a_table_of_something_else_is_one_sentence(kept, source, target, message):
    shutil.copy(kept / f"{source}.parquet", kept / f"{target}.parquet")

    with pytest.raises(VaelensError, match=message):
        StudyResults.read(kept)


def test_a_folder_without_results_is_one_sentence(tmp_path):
    with pytest.raises(VaelensError, match="holds no results of a study"):
        StudyResults.read(tmp_path / "nothing")


def test_the_results_in_the_documentation_are_read(pytestconfig):
    results = StudyResults.read(Path(pytestconfig.rootpath) / "docs" / "results" / "laptop")

    assert len(results.costs) == 90
