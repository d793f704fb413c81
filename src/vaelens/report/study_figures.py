"""The figures of a study's page, which are CES against DCI, the sweep of beta, and training curves."""

import numpy as np
import pandas as pd

from vaelens.report.figures import Figure
from vaelens.report.panels import Marks, Panel, panelled
from vaelens.study.findings.bottleneck import MEASURES, swept_runs
from vaelens.study.findings.runs import complete, runs_of

_SWEPT = ("dci_disentanglement", "information", "active_latents", "factor_predicted")
_POINTS = 60  # of a training curve


def study_figures(table: pd.DataFrame, curves: pd.DataFrame) -> dict[str, Figure]:
    """Makes the figures that the table allows, by name."""
    runs = runs_of(table)
    made = {
        "trade_off": _trade_off(runs),
        "sweep": _sweep(swept_runs(runs, table[table["latent"].notna()] if "latent" in table else table.iloc[:0])),
        "curves": _curves(curves),
    }
    return {name: figure for name, figure in made.items() if figure is not None}


def _trade_off(runs: pd.DataFrame) -> Figure | None:
    taken = complete(runs, ["ces", "dci_disentanglement"])
    if not len(taken):
        return None
    panels = []
    for dataset, rows in taken.groupby("dataset", observed=True, sort=False):
        means = rows.groupby("model", observed=True)[["ces", "dci_disentanglement"]].mean()
        marks = [
            Marks(str(model), [float(x)], [float(y)], texts=[f"{model}: CES {x:.3g}, DCI {y:.3g}"])
            for model, (x, y) in zip(means.index, means.to_numpy(), strict=True)
        ]
        panels.append(
            Panel(str(dataset), marks, {"title_text": "CES (pixel-L2)"}, {"title_text": "DCI disentanglement"})
        )
    return panelled(panels, columns=3 if len(panels) > 2 else len(panels))


def _sweep(swept: pd.DataFrame) -> Figure | None:
    panels = []
    for measure in _SWEPT:
        taken, marks = complete(swept, [measure]), []
        for (dataset, latents, trained), rows in taken.groupby(["dataset", "latent_dim", "trained"], observed=True):
            by_beta = rows.groupby("beta")[measure].agg(["mean", "min", "max"])
            name = f"{dataset}, {latents:g} latents{trained}"
            marks.append(
                Marks(name, by_beta.index.tolist(), *(by_beta[e].tolist() for e in ("mean", "min", "max")), line=True)
            )
        if marks:
            ticks = sorted(set(taken["beta"]))
            x = {"type": "log", "tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks], "title_text": "beta"}
            panels.append(Panel(MEASURES[measure], marks, x, {"rangemode": "tozero"}))
    return panelled(panels, columns=2) if panels else None


def _curves(curves: pd.DataFrame) -> Figure | None:
    panels = []
    for dataset, rows in curves.groupby("dataset", observed=True, sort=False):
        marks = []
        for (model, _), curve in rows.groupby(["model", "seed"], observed=True, sort=False):
            picked = curve.iloc[np.unique(np.linspace(0, len(curve) - 1, _POINTS).astype(int))]
            marks.append(Marks(str(model), picked["step"].tolist(), picked["squared_error"].tolist(), line=True))
        y = {"type": "log", "title_text": "squared error"}
        panels.append(Panel(str(dataset), marks, {"title_text": "step"}, y))
    return panelled(panels, columns=3 if len(panels) > 2 else len(panels)) if panels else None
