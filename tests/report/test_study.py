"""The page of a study made from a simulated table."""

import numpy as np
import pandas as pd
import pytest

from study.simulated import quantised_table, sweep_table, trade_off_table
from vaelens.errors import VaelensError
from vaelens.report.study import write_study
from vaelens.study import findings_of
from vaelens.study.results import StudyResults


@pytest.fixture(scope="module")
def results():
    codes = quantised_table({10: (0.3, 0.07)}).assign(dataset="codes")
    table = pd.concat([trade_off_table("confounded"), sweep_table("true").assign(dataset="sweep"), codes])
    runs = table.drop_duplicates(["dataset", "model", "seed"])[["dataset", "model", "seed"]].reset_index(drop=True)
    costs = runs.assign(steps=1000, training=60.0, analysis=30.0, machine="m", system="Linux")
    steps = np.arange(50, 1001, 50)
    curves = [
        pd.DataFrame({"step": steps, "squared_error": 0.02 + (0.001 * (1000 - steps) / 50 if k == 0 else 0)}).assign(
            dataset=run["dataset"], model=run["model"], seed=run["seed"]
        )
        for k, run in enumerate(runs.to_dict("records"))
    ]
    return StudyResults("simulated", table, findings_of(table), pd.concat(curves, ignore_index=True), costs)


def test_how_far_the_error_still_fell_is_that_of_the_last_two_tenths(results):
    falls = results.convergence["fall"]

    # 1,000 steps by 50: the last tenth are two points at 0.021 and 0.020, those before at 0.023 and 0.022.
    assert falls.iloc[results.convergence.index[falls > 0][0]] == pytest.approx(1 - 0.0205 / 0.0225)
    assert (falls > 0).sum() == 1


def test_the_page_holds_verdicts_rules_and_what_is_not_known(results, tmp_path):
    page = write_study(results, tmp_path / "study.html").read_text()

    for finding in results.findings:
        assert finding.verdict in page
        assert finding.rule.supported.split(" (")[0].replace("'", "&#39;") in page
    assert "It was still falling in 1, most in" in page
    assert "4.59" in page
    assert "default-src" in page
    assert 'src="http' not in page
    assert page.count('class="plotly-graph-div"') == 3


def test_a_table_without_dci_has_a_page_too(tmp_path):
    table = quantised_table({64: (0.05, 0.01)})
    runs = table.drop_duplicates(["dataset", "model", "seed"])[["dataset", "model", "seed"]]
    costs = runs.assign(steps=10, training=1.0, analysis=1.0, machine="m", system="Linux")
    curves = pd.DataFrame(columns=["dataset", "model", "seed", "step", "squared_error"])

    page = write_study(StudyResults("small", table, findings_of(table), curves, costs), tmp_path / "p.html").read_text()

    assert "The runs are too short, or left no log, to say." in page
    assert "no run has ces" in page


def test_other_things_are_refused(tmp_path):
    with pytest.raises(VaelensError, match="expected StudyResults, got a dict"):
        write_study({}, tmp_path / "p.html")
