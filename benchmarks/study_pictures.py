"""The pictures of a study in the documentation: scores by model and dataset, CES against DCI, training curves."""

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from vaelens.metrics.catalogue import METRICS
from vaelens.report.palette import DISTINCT
from vaelens.report.paper.canvas import STYLE, PaperFigure, blank
from vaelens.study.findings.runs import complete, runs_of
from vaelens.study.results import StudyResults

_COMPARED = ("dci_disentanglement", "ces_relative", "reconstruction_error")
_MARKERS = "os^Dvp"


def draw(results: StudyResults, into: Path) -> dict[str, str]:
    """Draws what the table allows, and returns each file's name with what it shows."""
    runs = runs_of(results.table)
    shown: dict[str, str] = {}
    with mpl.rc_context(STYLE):
        compared = [key for key in _COMPARED if key in runs.columns]
        if compared:
            _scores(runs, compared).savefig(into / "scores.png", dpi=150)
            labels = ", ".join(METRICS[key].label for key in compared)
            shown["scores.png"] = f"{labels} of each run (dots, one a seed) and their mean (bar), by dataset and model."
        taken = complete(runs, ["ces", "dci_disentanglement"])
        if len(taken):
            _by_dataset(taken, _trade_off).savefig(into / "trade_off.png", dpi=150)
            shown["trade_off.png"] = "CES and DCI disentanglement of each run, by dataset; means of models are filled."
        if len(results.curves):
            _by_dataset(results.curves, _curve).savefig(into / "curves.png", dpi=150)
            shown["curves.png"] = "Squared error a pixel over training, mean over seeds: whether it had levelled off."
    return shown


def _colours(models: list[str]) -> dict[str, tuple[str, str]]:
    return {model: (DISTINCT[k % len(DISTINCT)], _MARKERS[k % len(_MARKERS)]) for k, model in enumerate(models)}


def _scores(runs: pd.DataFrame, measures: list[str]) -> PaperFigure:
    """Draws a panel for each measure: datasets side by side, models within them."""
    datasets, models = (list(dict.fromkeys(runs[name])) for name in ("dataset", "model"))
    figure = blank(7.0, 1.6 * len(measures) + 0.4)
    panels = figure.subplots(len(measures), 1, squeeze=False)[:, 0]
    width = 0.8 / len(models)
    for panel, measure in zip(panels, measures, strict=True):
        for k, (model, (colour, _)) in enumerate(_colours(models).items()):
            for place, dataset in enumerate(datasets):
                values = runs[(runs["model"] == model) & (runs["dataset"] == dataset)][measure].dropna()
                x = place + (k - (len(models) - 1) / 2) * width
                label = model if not place else None
                if not len(values):
                    panel.bar(x, 0, color=colour, label=label)
                    continue
                panel.bar(x, values.mean(), 0.9 * width, color=colour, alpha=0.55, label=label)
                panel.plot(np.full(len(values), x), values, "o", color=colour, markersize=2.5)
        panel.set_xticks(range(len(datasets)), datasets if panel is panels[-1] else [""] * len(datasets))
        panel.set_ylabel(METRICS[measure].label)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(models), frameon=False)
    return figure


def _by_dataset(rows: pd.DataFrame, drawn: Callable[[Axes, pd.DataFrame, str, str], None]) -> PaperFigure:
    """Draws a panel for each dataset, its models in the colours that they have everywhere."""
    datasets, models = (list(dict.fromkeys(rows[name])) for name in ("dataset", "model"))
    columns = min(3, len(datasets))
    lines = -(-len(datasets) // columns)
    figure = blank(7.0, 2.0 * lines + 0.4)
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for panel, dataset in zip(panels, datasets, strict=False):
        for model, (colour, marker) in _colours(models).items():
            of_model = rows[(rows["dataset"] == dataset) & (rows["model"] == model)]
            if len(of_model):
                panel.set_title(dataset)
                drawn(panel, of_model.assign(label=model), colour, marker)
    for panel in panels[len(datasets) :]:
        panel.set_visible(False)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(models), frameon=False)
    return figure


def _trade_off(panel: Axes, runs: pd.DataFrame, colour: str, marker: str) -> None:
    x, y = runs["ces"], runs["dci_disentanglement"]
    panel.plot(x, y, marker, color=colour, markersize=3, fillstyle="none", linestyle="none")
    panel.plot(
        [x.mean()], [y.mean()], marker, color=colour, markersize=5, linestyle="none", label=runs["label"].iloc[0]
    )
    panel.set(xlabel=METRICS["ces"].label, ylabel=METRICS["dci_disentanglement"].label)


def _curve(panel: Axes, curves: pd.DataFrame, colour: str, marker: str) -> None:
    mean = curves.groupby("step")["squared_error"].mean()
    panel.plot(mean.index, mean, color=colour, linewidth=0.9, label=curves["label"].iloc[0])
    panel.set(xlabel="step", ylabel="squared error", yscale="log")
