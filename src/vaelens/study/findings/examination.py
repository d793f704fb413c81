"""The examination of a study's table, by all findings and what goes beyond them. Costs a second for 90 runs."""

from typing import Any

import pandas as pd

from vaelens.study.findings.bottleneck import bottleneck
from vaelens.study.findings.finding import Findings
from vaelens.study.findings.modes import by_mode
from vaelens.study.findings.no_best import no_best
from vaelens.study.findings.quantised import quantised
from vaelens.study.findings.runs import runs_of
from vaelens.study.findings.seeds_needed import seeds_needed
from vaelens.study.findings.trade_off import trade_off

# The means in the abstract of arXiv:2505.03530v1 (Roy, 2025), which names neither dataset nor number of runs.
PUBLISHED = pd.DataFrame(
    {
        "model": ["factor-vae", "vae", "beta-vae"],
        "ces": [4.59, 3.99, 3.43],
        "disentanglement": [0.084, 0.064, 0.051],
    }
)


def findings_of(table: Any) -> Findings:
    """Judges the paper's four findings, and what depends on the mode and on the number of seeds.

    Args:
        table: a study's tidy table, as `vl.Study.table` returns it or runs.parquet holds it. It alone is looked at.

    Returns:
        Each finding with its verdict by the rule written down for it (`rules.RULES`), and every number with its
        interval, p and n. What the table does not allow is "not examined", with the reason.

    Raises:
        VaelensError: no such table, or one that has a run's measure twice.
    """
    runs = runs_of(table)
    latents = table[table["latent"].notna()] if "latent" in table.columns else table.iloc[:0]
    findings = (trade_off(runs), bottleneck(runs, latents), no_best(runs), quantised(runs))
    compared = [name for name in ("dci_disentanglement", "ces_relative") if name in runs.columns]
    return Findings(findings, by_mode(runs), seeds_needed(runs, compared), PUBLISHED.copy())
