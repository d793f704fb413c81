"""What counts of a study's folder: the cells of its plan, and nothing else that lies there."""

import json
import shutil

import pytest

import vaelens as vl
from study.tiny import PLAN, table_of
from vaelens.errors import VaelensError, VaelensWarning

OTHER = PLAN.replace("name: tiny", "name: other").replace("[0, 1]", "[5]")


@pytest.fixture
def folder(undisturbed, tmp_path):
    return shutil.copytree(undisturbed, tmp_path / "study")


def test_another_study_is_refused_before_anything_is_written(folder):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    with pytest.raises(
        VaelensError,
        match=r"folder of the study 'tiny', which has no cell in common with this one \(name was \"tiny\" and is "
        r"\"other\"; seeds was \[0, 1\] and is \[5\]\), and studies are not mixed; give another --out",
    ):
        vl.Study.from_text(OTHER).run(folder)

    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_copied_cell_and_one_that_is_not_planned_are_left_out_and_said(undisturbed, folder):
    cell = folder / "runs" / "digits" / "vae" / "1"
    shutil.copytree(cell, cell.with_name("1 (copy)"))
    shutil.copytree(cell, cell.parent.with_name("gaussian") / "1")

    study = vl.Study.from_folder(folder)
    with pytest.warns(
        VaelensWarning,
        match=r"holds 2 cells that are not of its plan and left out \(runs/digits/gaussian/1: not planned; "
        r"runs/digits/vae/1 \(copy\): not planned\); move them to another folder",
    ):
        study.run(folder)

    assert table_of(folder) == table_of(undisturbed)
    assert len(study.done(folder).counted) == 4


def test_a_cell_of_another_version_or_configuration_is_left_out_and_said(folder):
    record = folder / "runs" / "digits" / "vae" / "0" / "cell.json"
    made = json.loads(record.read_text())
    record.write_text(json.dumps(made | {"vaelens": "0.0.1"}))
    (folder / "runs" / "digits" / "beta-vae" / "0").rename(folder / "old")
    shutil.copytree(folder / "runs" / "digits" / "beta-vae" / "1", folder / "runs" / "digits" / "beta-vae" / "0")

    with pytest.warns(
        VaelensWarning,
        match=r"beta-vae/0: made otherwise, configuration.seed was 1 and is 0; runs/digits/vae/0: made "
        r"otherwise, vaelens was \"0\.0\.1\" and is",
    ):
        table = vl.Study.from_folder(folder).table()

    assert set(zip(table["model"], table["seed"], strict=True)) == {("vae", 1), ("beta-vae", 1)}


def test_a_plan_that_was_made_smaller_counts_its_own_cells(folder):
    smaller = vl.Study.from_text(PLAN.replace("[0, 1]", "[1]"))

    with pytest.warns(VaelensWarning, match=r"holds 2 cells that are not of its plan"):
        smaller.run(folder)

    assert set(vl.Study.from_folder(folder).plan.seeds) == {1}
    assert {row.split(",")[2] for row in (folder / "runs.csv").read_text().splitlines()[1:]} == {"1"}


def test_cells_of_one_dataset_made_on_different_data_are_refused(folder):
    record = folder / "runs" / "digits" / "vae" / "1" / "cell.json"
    made = json.loads(record.read_text())
    (named,) = [n for n in vl.Study.from_folder(folder).cells() if n.cell.title == "digits/vae/1"]
    record.write_text(json.dumps(made | {"data": "other", "cell": named.cell.name("other", named.version)}))

    with pytest.raises(VaelensError, match="digits/beta-vae/0 and digits/vae/1 were made on different data"):
        vl.Study.from_folder(folder).table()
