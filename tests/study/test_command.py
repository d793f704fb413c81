"""What `vaelens study` prints."""

import subprocess
import sys
import time

import pytest

import vaelens as vl
from study.tiny import PLAN
from vaelens.cli import main
from vaelens.cli.study_watcher import Watcher
from vaelens.study.cost import cost_of
from vaelens.study.folder import StudyFolder
from vaelens.study.lease import Watch, claim
from vaelens.study.pulse import Pulse


def test_a_plan_of_which_nothing_is_done_says_that_analyses_are_not_counted(tmp_path, capsys):
    (tmp_path / "tiny.yaml").write_text(PLAN)

    with pytest.raises(SystemExit):
        main(["study", "plan", str(tmp_path / "tiny.yaml")])

    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("left: 4 cells, about ")
    assert last.endswith(
        " of training on 1 worker (timed on a few steps), and an analysis of each, whose time is known once one is done"
    )


def test_what_is_left_costs_training_and_analysis_of_what_is_done(undisturbed):
    study = vl.Study.from_text(PLAN.replace("[0, 1]", "[0, 1, 2]").replace("beta: 8}}]", "beta: 8}}, dip-vae-i]"))
    done = vl.Study.from_folder(undisturbed).done().counted
    left = [named for named in study.cells() if named.cell.title in ("digits/vae/2", "digits/dip-vae-i/0")]

    cost = cost_of(done, left, None)

    of_vae = [cell.training + cell.analysis for cell in done if cell.cell.model == "vae"]
    of_all = [cell.training + cell.analysis for cell in done]
    assert cost.seconds == pytest.approx(sum(of_vae) / 2 + sum(of_all) / 4)
    assert (cost.timed, cost.trained_alone) == (1, False)


def test_each_phase_of_a_running_cell_is_a_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("vaelens.cli.study_watcher._LOOK", 0.01)
    (named, other, *_) = vl.Study.from_text(PLAN).cells()
    place = StudyFolder(tmp_path)
    Pulse(place.work_of(other, "left") / "progress.json", lambda: False).tell("cut off, and claimed by nobody")
    holder = claim(place.claim_of(named), Watch())
    assert holder is not None
    pulse, watcher = Pulse(place.work_of(named, holder.token) / "progress.json", lambda: False), Watcher(tmp_path)
    watcher.begin(None, [named, other])
    told = ["the data", "training from step 0", "training from step 0", "training from step 0", "the analysis"]
    for phase, share in zip(told, [0, 0.1, 0.2, 0.6, 0.0], strict=True):
        pulse.tell(phase, share)
        time.sleep(0.2)
    watcher.end()

    assert capsys.readouterr().err.splitlines() == [
        "vaelens: 2 cells to do",
        "vaelens: digits/vae/0: the data, 0%",
        "vaelens: digits/vae/0: training from step 0, 10%",
        "vaelens: digits/vae/0: training from step 0, 60%",
        "vaelens: digits/vae/0: the analysis, 0%",
    ]


@pytest.mark.parametrize("command", ["status", "table", "findings", "report"])
def test_what_is_not_installed_is_said(tmp_path, command):
    code = "import sys; sys.modules['psutil'] = None; from vaelens.cli import main; main(sys.argv[1:])"
    words = [sys.executable, "-c", code, "study", command, str(tmp_path)]

    ended = subprocess.run(words, capture_output=True, text=True)

    assert ended.returncode == 1
    assert ended.stderr == "vaelens: a study needs psutil: pip install '.[study]' in the clone of vaelens\n"
