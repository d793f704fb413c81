"""A finding, which is a claim, a verdict, and the tests that it rests on."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from math import isfinite
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from vaelens.errors import unknown
from vaelens.paths import user_path
from vaelens.study.findings.rules import Rule
from vaelens.study.own_files import refuse_others
from vaelens.writing import written_whole

Verdict = Literal["supported", "not supported", "undecided", "not examined"]
_NONE = float("nan")
OWN_FILES = {
    "findings.json": ("rule", "verdict", "sentence", "tests"),
    "findings.csv": ("finding", "verdict", "about", "statistic"),
    "modes.csv": ("mode", "trade_off", "quantised"),
    "seeds_needed.csv": ("measure", "dataset", "first", "second", "needed"),
}


@dataclass(frozen=True)
class Test:
    """One number with its interval and its test.

    Attributes:
        about: what is measured, in words.
        statistic: what the number is, such as "r".
        value: the number.
        low: lower end of its 95 % interval, NaN where there is none.
        high: upper end.
        p: two-sided p-value, NaN where nothing is tested.
        p_adjusted: the same, of all tests of the family at once (Holm–Šidák); NaN where it stands alone.
        n: how many runs it rests on.
        effect_size: Hedges' g of a difference, NaN of other statistics.
        decides: whether the verdict rests on it.
        where: on which dataset, or at which width; all where it is empty.
        by: what is averaged over and what is permuted or resampled.
    """

    about: str
    statistic: str
    value: float
    low: float = _NONE
    high: float = _NONE
    p: float = _NONE
    p_adjusted: float = _NONE
    n: int = 0
    effect_size: float = _NONE
    decides: bool = False
    where: str = ""
    by: str = ""

    __test__ = False  # the name is no test of pytest's


@dataclass(frozen=True, eq=False)
class Finding:
    """A claim, what the table says of it, and by what numbers.

    Attributes:
        rule: the claim, and the rule that was written down for it.
        verdict: by that rule.
        sentence: what was found, or why it was not examined.
        tests: every number of it, those that decide and those beside them.
    """

    rule: Rule
    verdict: Verdict
    sentence: str
    tests: tuple[Test, ...] = ()

    def frame(self) -> pd.DataFrame:
        """Lists the tests in a table, a row each."""
        return pd.DataFrame([asdict(test) for test in self.tests], columns=[field.name for field in fields(Test)])


@dataclass(frozen=True, eq=False)
class Findings:
    """What a study found.

    Attributes:
        findings: of each claim, in the order of the rules.
        modes: how the numbers of (i) and (iv) depend on the mode of intervention, a row for each mode.
        seeds_needed: of each difference between two architectures, how many seeds each of them needs for it to be seen
            in 80 % of studies.
        published: what arXiv:2505.03530v1 reports, as context: other data, other training.
    """

    findings: tuple[Finding, ...]
    modes: pd.DataFrame = field(default_factory=pd.DataFrame)
    seeds_needed: pd.DataFrame = field(default_factory=pd.DataFrame)
    published: pd.DataFrame = field(default_factory=pd.DataFrame)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __getitem__(self, key: str) -> Finding:
        for finding in self.findings:
            if finding.rule.key == key:
                return finding
        raise unknown("finding", key, [finding.rule.key for finding in self.findings])

    def frame(self) -> pd.DataFrame:
        """Lists the tests of all findings in one table, with the `finding` and its `verdict`."""
        parts = [
            finding.frame().assign(finding=finding.rule.key, verdict=finding.verdict)
            for finding in self.findings
            if finding.tests
        ]
        if not parts:
            return pd.DataFrame(columns=["finding", "verdict", *(field.name for field in fields(Test))])
        table = pd.concat(parts, ignore_index=True)
        return table[["finding", "verdict", *(name for name in table.columns if name not in ("finding", "verdict"))]]

    def write(self, folder: str | Path) -> None:
        """Writes findings.json and findings.csv, and modes.csv and seeds_needed.csv where there are such numbers.

        Where there are none, such a file of findings written before is deleted.

        Raises:
            VaelensError: they can't be written, or a file of that name is there that no study wrote.
        """
        path = user_path("folder", folder)
        refuse_others(path, OWN_FILES)
        told = [
            {"rule": asdict(finding.rule), "verdict": finding.verdict, "sentence": finding.sentence}
            | {"tests": [_plain(asdict(test)) for test in finding.tests]}
            for finding in self.findings
        ]
        numbers = [name for name in ("modes", "seeds_needed") if len(getattr(self, name))]
        with written_whole(path) as unfinished:
            text = json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False)
            (unfinished / "findings.json").write_text(text + "\n", encoding="utf-8")
            self.frame().to_csv(unfinished / "findings.csv", index=False)
            for name in numbers:
                getattr(self, name).to_csv(unfinished / f"{name}.csv", index=False)
        for name in {"modes", "seeds_needed"} - {*numbers}:  # of findings that were written here before
            (path / f"{name}.csv").unlink(missing_ok=True)

    def __repr__(self) -> str:
        return "\n".join(f"{finding.rule.claim} {finding.verdict}: {finding.sentence}" for finding in self.findings)


def adjusted(tests: Sequence[Test]) -> tuple[Test, ...]:
    """Adjusts the p-values of tests as one family (Holm–Šidák)."""
    from dataclasses import replace

    from vaelens.statistics import holm_sidak

    together = holm_sidak([test.p for test in tests]) if tests else np.zeros(0)
    return tuple(replace(test, p_adjusted=float(p)) for test, p in zip(tests, together, strict=True))


def _plain(record: Mapping[str, Any]) -> dict[str, Any]:
    """Turns what JSON lacks, NaN and infinity, into None."""
    return {k: None if isinstance(v, float) and not isfinite(v) else v for k, v in record.items()}
