"""Finding (i), whether CES and DCI correlate negatively within datasets, and whether reconstruction explains it."""

from collections.abc import Sequence

import pandas as pd

from vaelens.errors import VaelensError
from vaelens.statistics import CellMeanCorrelation, cell_mean_correlation, repeated_measures_correlation
from vaelens.study.findings.finding import Finding, Test, Verdict, adjusted
from vaelens.study.findings.rules import ALPHA, EXPLAINED, OF_NOTE, RULES
from vaelens.study.findings.runs import complete, counted, shown

_RULE = RULES["trade_off"]
DCI, ERROR, LIVE = "dci_disentanglement", "reconstruction_error", "active_latents"
FORMS = {"ces": "CES", "ces_relative": "relative CES", "ces_posterior": "posterior CES"}
_MODELS = 4  # whose 24 orders can give p ≤ 0.05


def trade_off(runs: pd.DataFrame) -> Finding:
    """Judges the trade-off of CES and DCI. The verdict is that of CES as the paper has it.

    Args:
        runs: as `runs_of` returns them.
    """
    judged = {form: _judged(runs, form) for form in FORMS}
    verdict, reason, _ = judged["ces"]
    tests = [test for _, _, of_form in judged.values() for test in of_form]
    if verdict == "not examined":
        return Finding(_RULE, verdict, reason, tuple(tests))
    others = [f"{FORMS[form]}: {judged[form][0]} ({judged[form][1]})" for form in ("ces_relative", "ces_posterior")]
    return Finding(_RULE, verdict, f"{reason}. The same by {'; by '.join(others)}.", _with_adjusted(tests))


def verdict_of(runs: pd.DataFrame, form: str) -> tuple[Verdict, float, float]:
    """Judges the trade-off of one form of CES, with the partialled r and its p."""
    verdict, _, tests = _judged(runs, form)
    partialled = [test for test in tests if test.decides and "partialled" in test.about]
    return verdict, *((partialled[0].value, partialled[0].p) if partialled else (float("nan"), float("nan")))


def _judged(runs: pd.DataFrame, form: str) -> tuple[Verdict, str, list[Test]]:
    """Judges one form of CES, and returns the verdict, the reason, and the tests."""
    taken = complete(runs, [form, DCI, ERROR])
    missing = _missing(runs, taken, form)
    if missing:
        return "not examined", missing, []
    try:
        raw = cell_mean_correlation(taken, form, DCI, group="model")
        partialled = cell_mean_correlation(taken, form, DCI, [ERROR], group="model")
    except VaelensError as error:
        return "not examined", str(error).split(";")[0], []
    name = f"{FORMS.get(form, form)} and DCI"
    tests = [
        _test(name, raw, len(taken), True),
        _test(f"{name}, reconstruction error partialled out", partialled, len(taken), True),
    ]
    with_live = complete(taken, [LIVE])
    if len(with_live) == len(taken):
        try:
            both = cell_mean_correlation(taken, form, DCI, [ERROR, LIVE], group="model")
            tests.append(
                _test(f"{name}, reconstruction error and active latents partialled out", both, len(taken), False)
            )
        except VaelensError:  # nothing is left
            pass
    tests += _runwise(taken, form, name)
    verdict, why = _verdict(raw, partialled)
    said = f"r = {shown(raw.r)} (p = {shown(raw.p)}), partialled {shown(partialled.r)} (p = {shown(partialled.p)})"
    return verdict, f"{said}{why}, {counted(raw.cells, 'cell')} of {counted(raw.groups, 'model')}", tests


def _missing(runs: pd.DataFrame, taken: pd.DataFrame, form: str) -> str:
    """Says what the table lacks."""
    if not len(taken):
        lacking = [name for name in (form, DCI, ERROR) if not len(complete(runs, [name]))]
        return f"no run has {' or '.join(lacking)}" if lacking else f"no run has all of {form}, {DCI} and {ERROR}"
    models = taken["model"].nunique()
    if models < _MODELS:
        return f"{counted(models, 'model')} with {form} and {DCI}; it needs {_MODELS} to permute"
    return ""


def _verdict(raw: CellMeanCorrelation, partialled: CellMeanCorrelation) -> tuple[Verdict, str]:
    """Applies the rule."""
    if any(each.r > 0 and each.p <= ALPHA for each in (raw, partialled)):
        return "not supported", ": positive"
    if raw.p <= ALPHA and partialled.r < 0 and partialled.p <= ALPHA:
        return "supported", ""
    if raw.p <= ALPHA and raw.r < 0 and partialled.p > ALPHA and abs(partialled.r) < EXPLAINED * abs(raw.r):
        return "not supported", ": reconstruction error explains it"
    if partialled.low > -OF_NOTE:
        return "not supported", f": no correlation as strong as −{OF_NOTE}"
    return "undecided", ""


def _test(about: str, found: CellMeanCorrelation, runs: int, decides: bool) -> Test:
    by = (
        f"means of {found.cells} cells ({found.groups} models, {found.blocks} datasets); "
        f"{found.permutations:,} permutations of models{', all' if found.exact else ''}"
    )
    return Test(about, "r", found.r, found.low, found.high, found.p, n=runs, decides=decides, by=by)


def _runwise(taken: pd.DataFrame, form: str, name: str) -> list[Test]:
    """Adds repeated-measures correlation, as papers have it, which takes seeds for independent."""
    tests = []
    covariates: Sequence[str]
    for covariates, more in (((), ""), ((ERROR,), ", reconstruction error partialled out")):
        try:
            runwise = repeated_measures_correlation(taken, form, DCI, covariates=covariates)
        except VaelensError:
            continue
        by = f"repeated-measures correlation over runs, {runwise.degrees_of_freedom} degrees of freedom; p is too small"
        tests.append(
            Test(
                f"{name}{more}, over runs",
                "r",
                runwise.r,
                runwise.low,
                runwise.high,
                runwise.p,
                n=len(taken),
                by=by,
            )
        )
    return tests


def _with_adjusted(tests: list[Test]) -> tuple[Test, ...]:
    """Adjusts the p-values of the tests that decide, over the three forms of CES."""
    deciding = iter(adjusted([test for test in tests if test.decides]))
    return tuple(next(deciding) if test.decides else test for test in tests)
