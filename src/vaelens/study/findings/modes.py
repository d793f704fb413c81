"""The findings about CES under every mode, to see which conclusions depend on what a latent is set to."""

import numpy as np
import pandas as pd

from vaelens.study.findings.quantised import quantised
from vaelens.study.findings.runs import complete
from vaelens.study.findings.trade_off import verdict_of

MODES = ("range", "shift", "posterior", "prior", "conditional")


def by_mode(runs: pd.DataFrame) -> pd.DataFrame:
    """Judges findings (i) and (iv) by relative CES under every mode of intervention.

    Args:
        runs: as `runs_of` returns them.

    Returns:
        A row for each mode that the table has: `mode`, `trade_off` (the verdict), `r` and `p` (reconstruction error
        partialled out), `quantised` (the verdict), `strongest` (the model with the largest mean over datasets of CES
        over the dataset's mean), `order` (Kendall's τ of the models' order with that of mode "range", averaged over
        datasets, from −1 to 1), `runs`.
    """
    measures = {mode: f"ces_relative_{mode}" for mode in MODES if f"ces_relative_{mode}" in runs.columns}
    rows = []
    for mode, measure in measures.items():
        taken = complete(runs, [measure])
        if not len(taken):
            continue
        trade_off, r, p = verdict_of(runs, measure)
        means = taken.groupby(["dataset", "model"], observed=True)[measure].mean()
        relative = means / means.groupby("dataset", observed=True).transform("mean")
        strongest = str(relative.groupby("model", observed=True).mean().idxmax())
        order = _order(runs, measures.get("range", ""), measure)
        rows.append((mode, trade_off, r, p, quantised(runs, measure).verdict, strongest, order, len(taken)))
    columns = ["mode", "trade_off", "r", "p", "quantised", "strongest", "order", "runs"]
    return pd.DataFrame(rows, columns=columns)


def _order(runs: pd.DataFrame, reference: str, measure: str) -> float:
    """Computes Kendall's τ of two orders of models, averaged over datasets with two models or more."""
    if reference not in runs.columns:
        return float("nan")
    taken = complete(runs, [*dict.fromkeys((reference, measure))])
    means = taken.groupby(["dataset", "model"], observed=True)[[*dict.fromkeys((reference, measure))]].mean()
    taus = [
        float(of_dataset[reference].corr(of_dataset[measure], method="kendall"))
        for _, of_dataset in means.groupby("dataset", observed=True)
        if len(of_dataset) > 1
    ]
    return float(np.mean(taus)) if taus else float("nan")
