"""Studies whose files were damaged: one sentence that says what came, where, and what to do."""

import json
import shutil

import pytest

import vaelens as vl
from vaelens.errors import VaelensError
from vaelens.study.folder import StudyFolder
from vaelens.study.lease import Watch


@pytest.fixture
def folder(undisturbed, tmp_path):
    return shutil.copytree(undisturbed, tmp_path / "study")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"made": None}, "is damaged"),
        ({"made": {"seconds": 5, "machine": "m", "system": "s"}}, "is damaged"),
        ({"made": {"seconds": {}, "machine": "m", "system": "s"}}, "it has no 'training'"),
    ],
)
def test_the_record_of_a_cell(folder, changes, message):
    record = folder / "runs" / "digits" / "vae" / "0" / "cell.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | changes))

    with pytest.raises(VaelensError, match=r"cell\.json' is damaged .*move the cell's folder away.*") as told:
        vl.Study.from_folder(folder).results()
    assert message in str(told.value)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:100]), "is damaged"),
        (lambda path: path.unlink(), "is missing"),
    ],
)
@pytest.mark.parametrize("file", ["manifest.json", "effects/latent-*.nc"])
def test_the_analysis_of_a_cell(folder, file, damage, message):
    """The cell counts as done, so the study does not make its analysis anew by itself."""
    cell = folder / "runs" / "digits" / "vae" / "0"
    damage(next((cell / "analysis").glob(file)))

    with pytest.raises(
        VaelensError, match=r"the analysis of digits/vae/0: .*; move '.*0' away, and run the st"
    ) as told:
        vl.Study.from_folder(folder).table()
    assert message in str(told.value)


def test_an_analysis_of_another_cell_is_not_taken_for_its_own(folder):
    runs = folder / "runs" / "digits"
    shutil.rmtree(runs / "vae" / "0" / "analysis")
    shutil.copytree(runs / "beta-vae" / "0" / "analysis", runs / "vae" / "0" / "analysis")

    said = r'analysis of digits/vae/0 is not the cell.s own \(model was "vae" and is "beta-vae"\); move .* made anew'
    with pytest.raises(VaelensError, match=said):
        vl.Study.from_folder(folder).table()


@pytest.mark.parametrize("content", ["", "step,loss\n1,2\n", "step,squared_error\n1,abc\n2,3\n"])
def test_the_log_of_a_training(folder, content):
    log = folder / "runs" / "digits" / "vae" / "0" / "model" / "logs" / "metrics.csv"
    log.parent.mkdir(exist_ok=True)
    log.write_text(content)

    with pytest.raises(VaelensError, match=r"metrics\.csv' is damaged .*delete it to do without that run's curve"):
        vl.Study.from_folder(folder).results()


@pytest.mark.parametrize(
    "content", ["{}", "[1]", "{", '{"how": "failed"}', '{"how": "died"}', '{"how": "failed", "why": 1}']
)
def test_the_record_of_an_attempt(tmp_path, content):
    study, place = vl.Study.from_text("{name: a, datasets: [digits], models: [vae], seeds: [0]}"), StudyFolder(tmp_path)
    (named,) = study.cells()
    place.note(named, "first", {"how": "failed", "why": "of the loss", "place": "the beginning"})
    (tmp_path / "attempts" / named.name / "second.json").write_text(content)

    with pytest.raises(VaelensError, match=r"second\.json' does not tell how an attempt at digits/vae/0 ended; delete"):
        study.states(tmp_path)


@pytest.mark.parametrize("content", ['{"a": 1}', "[1]", '{"place": 1, "share": 0}', '{"place": "training"}', "{"])
def test_what_a_worker_tells_of_itself_is_passed_over(tmp_path, content):
    (named,) = vl.Study.from_text("{name: a, datasets: [digits], models: [vae], seeds: [0]}").cells()
    place = StudyFolder(tmp_path)
    (place.work_of(named, "token") / "progress.json").write_text(content)

    assert place.progress(named) == {}
    assert place.state(named, 2, Watch()) == "interrupted"
