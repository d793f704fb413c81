"""The page of a study, with its findings and their rules, figures, what depends on what, convergence and cost."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from vaelens.errors import VaelensError
from vaelens.metrics.catalogue import METRICS
from vaelens.report.numerals import NOTHING, counted, number, spoken
from vaelens.report.rendering import columns, p_value, rendered, write_page
from vaelens.report.study_figures import study_figures
from vaelens.study.findings.finding import Finding
from vaelens.study.findings.no_best import best_models
from vaelens.study.findings.runs import runs_of
from vaelens.study.results import StudyResults
from vaelens.version import __version__

_LEVEL = 0.02  # of the error that may still be falling in a tenth of the steps
_CIRCUITS = {  # what is said of circuits, means over factors and seeds
    "circuit_share": "share of units",
    "circuit_edges": "edges",
    "circuit_faithfulness": "faithfulness",
    "circuit_held_out": "on other pairs",
    "circuit_modularity": "circuit modularity",
    "motif_relay": "relays, z",
    "motif_bi-fan": "bi-fans, z",
    "motif_diamond": "diamonds, z",
}
_MOST_TESTS = 200  # rows that a page holds of a finding; all are in findings.csv


def write_study(results: Any, path: Any) -> Path:
    """Writes a study's results as one HTML page that needs no other file and no network.

    Raises:
        VaelensError: something else than StudyResults, or a path that is a folder or can't be written.
    """
    if not isinstance(results, StudyResults):
        raise VaelensError(f"expected StudyResults, got a {type(results).__name__}; make them with Study.results")
    return write_page(study_page(results), path)


def study_page(results: StudyResults) -> bytes:
    """Renders a study's results as one HTML page, the same bytes for the same results."""
    runs, convergence = runs_of(results.table), results.convergence
    figures = study_figures(results.table, results.curves)
    modes, needed, circuits = results.findings.modes, results.findings.seeds_needed, _circuits(runs)
    sections = [
        ("found", "What was found", True),
        ("trade-off", "CES and DCI", "trade_off" in figures),
        ("sweep", "A sweep of beta", "sweep" in figures),
        ("best", "The best model of each dataset", True),
        ("modes", "What depends on the mode of intervention", len(modes)),
        ("circuits", "Circuits by model", len(circuits)),
        ("seeds", "How many seeds a difference needs", len(needed)),
        ("training", "Had training levelled off?", True),
        ("context", "Beside the paper's first version", True),
        ("reproduce", "How to reproduce this", True),
    ]
    tables = ["best", *(["modes"] if len(modes) else []), *(["circuits"] if circuits else []), "cost", "context"]
    done = counted(len(results.costs), "run")
    models, datasets, seeds = (
        counted(runs[name].nunique(), noun)
        for name, noun in (("model", "model"), ("dataset", "dataset"), ("seed", "seed"))
    )
    return rendered(
        "study.html.j2",
        title=f"The study {results.name}",
        about=f"{done} of {models} on {datasets} from {seeds}, by vaelens {__version__}.",
        contents=[(place, name) for place, name, there in sections if there],
        findings=[_told(finding) for finding in results.findings],
        test_columns=columns("what", "where", "statistic", "*value", "*p", "*p, adjusted", "*Hedges' g", "*runs", "by"),
        plots={
            name: {"html": Markup(figure.html(f"plot-{name}")), "narrowest": figure.narrowest}
            for name, figure in figures.items()
        },
        number_of={name: k for k, name in enumerate(figures, start=1)},
        table_of={name: k for k, name in enumerate(tables, start=1)},
        best_columns=columns("score", "dataset", "best model", "*mean", "not told from it"),
        best=_best(runs),
        mode_columns=columns("mode", "CES and DCI", "*r", "*p", "VQ-VAE near zero", "strongest", "*order", "*runs"),
        modes=[
            [
                str(row["mode"]),
                row["trade_off"],
                number(row["r"]),
                p_value(row["p"]),
                row["quantised"],
                row["strongest"],
                number(row["order"]),
                str(row["runs"]),
            ]
            for row in modes.to_dict("records")
        ],
        circuit_columns=columns("dataset", "model", "*runs", *(f"*{label}" for label in _CIRCUITS.values())),
        circuits=circuits,
        needed_columns=columns(
            "score", "dataset", "first", "second", "*difference", "*Hedges' g", "*seeds", "*needed", "*power"
        ),
        needed=[_needed(row) for row in needed.to_dict("records")],
        needed_said=_needed_said(needed),
        convergence_said=_convergence_said(convergence),
        cost_columns=columns("dataset", "model", "*runs", "*error", "*fell by", "*training", "*analysis"),
        costs=_costs(results.costs, convergence),
        context_columns=columns("model", "*mean CES, v1", "*ours", "*disentanglement, v1", "*our DCI"),
        context=_context(results.findings.published, runs),
        made=_made(results),
    )


def _told(finding: Finding) -> SimpleNamespace:
    """Writes a finding with its numbers as rows of text."""
    rows = [
        [
            ("★ " if test.decides else "") + test.about,
            test.where or NOTHING,
            test.statistic,
            spoken(test.value, test.low, test.high),
            p_value(test.p),
            p_value(test.p_adjusted),
            number(test.effect_size),
            str(test.n),
            test.by,
        ]
        for test in finding.tests[:_MOST_TESTS]
    ]
    return SimpleNamespace(rule=finding.rule, verdict=finding.verdict, sentence=finding.sentence, rows=rows)


def _best(runs: pd.DataFrame) -> list[list[str]]:
    rows = []
    for key, metric in METRICS.items():
        if not metric.better or key not in runs.columns:
            continue
        for row in best_models(runs, key, metric.better == "higher").to_dict("records"):
            score, near = f"{metric.label} ({metric.better})", _near(row["not_told_from"], row["not_compared"])
            rows.append([score, row["dataset"], row["best"], number(row["mean"]), near])
    return rows


def _near(not_told_from: str, not_compared: str) -> str:
    """Says which models are not told from the best, and which could not be compared with it.

    Example:
        >>> _near("vae", ""), _near("", ""), _near("vae", "vq-vae (no value)")
        ('vae', '—', 'vae; not compared: vq-vae (no value)')
        >>> _near("", "vq-vae (one seed)")
        'not compared: vq-vae (one seed)'
    """
    parts = [not_told_from, f"not compared: {not_compared}" if not_compared else ""]
    return "; ".join(filter(None, parts)) or NOTHING


def _circuits(runs: pd.DataFrame) -> list[list[str]]:
    """Writes the rows of the circuits of each dataset and model, where some were found."""
    if "circuit_share" not in runs:
        return []
    with_circuits = runs[runs["circuit_share"].notna()]
    rows = []
    for (dataset, model), of_model in with_circuits.groupby(["dataset", "model"], observed=True, sort=False):
        means = [float(of_model[name].mean()) if name in of_model else np.nan for name in _CIRCUITS]
        rows.append([str(dataset), str(model), str(len(of_model)), *map(number, means)])
    return rows


def _needed(row: Any) -> list[str]:
    needed = "more than 30" if pd.isna(row["needed"]) else str(row["needed"])
    label, power = METRICS[row["measure"]].label, f"{row['power']:.0%}"
    numbers = [number(row["difference"]), number(row["hedges_g"]), str(row["seeds"]), needed, power]
    return [label, row["dataset"], row["first"], row["second"], *numbers]


def _needed_said(needed: pd.DataFrame) -> str:
    if not len(needed):
        return ""
    enough = int((needed["needed"] <= needed["seeds"]).sum())
    more = int(needed["needed"].isna().sum())
    return (
        f"Of {counted(len(needed), 'difference')} between two models on a dataset, {enough} would be seen in 80 % of "
        f"studies with the seeds that there are, {len(needed) - enough - more} need up to 30, and {more} more than "
        "that, if what was found is what is true."
    )


def _convergence_said(convergence: pd.DataFrame) -> str:
    known = convergence[np.isfinite(convergence["fall"])]
    if not len(known):
        return "The runs are too short, or left no log, to say."
    falling = known[known["fall"] > _LEVEL]
    within = f"the error fell by at most {_LEVEL:.0%} over the last tenth of the steps"
    if not len(falling):
        return f"In all {counted(len(known), 'run')} {within}."
    worst = falling.sort_values("fall", ascending=False).iloc[0]
    most = f"{worst['dataset']}/{worst['model']}/{worst['seed']}, by {worst['fall']:.1%}"
    return (
        f"In {len(known) - len(falling)} of {counted(len(known), 'run')} {within}. It was still falling in "
        f"{len(falling)}, most in {most}: longer training would change these."
    )


def _costs(costs: pd.DataFrame, convergence: pd.DataFrame) -> list[list[str]]:
    cells = ["dataset", "model"]
    spent = costs.groupby(cells, observed=True, sort=False)[["training", "analysis"]].mean()
    runs = costs.groupby(cells, observed=True, sort=False)["seed"].count()
    ended = convergence.groupby(cells, observed=True)[["squared_error", "fall"]].mean()
    rows = []
    for cell in spent.index:
        error, fall = ended.loc[cell] if cell in ended.index else (np.nan, np.nan)
        fell = f"{fall:.1%}".replace("-", "−") if np.isfinite(fall) else NOTHING
        seconds = [f"{spent.loc[cell, kind]:,.0f} s" for kind in ("training", "analysis")]
        rows.append([*map(str, cell), str(runs[cell]), number(error), fell, *seconds])
    return rows


def _context(published: pd.DataFrame, runs: pd.DataFrame) -> list[list[str]]:
    ours = {
        name: runs.groupby("model", observed=True)[name].mean() if name in runs else pd.Series(dtype=float)
        for name in ("ces", "dci_disentanglement")
    }
    rows = []
    for row in published.to_dict("records"):
        ces, dci = (float(ours[name].get(row["model"], np.nan)) for name in ("ces", "dci_disentanglement"))
        rows.append([row["model"], number(row["ces"]), number(ces), number(row["disentanglement"]), number(dci)])
    return rows


def _made(results: StudyResults) -> list[tuple[str, str]]:
    costs, table = results.costs, results.table
    hours = float(costs[["training", "analysis"]].to_numpy().sum()) / 3600
    return [
        ("study", results.name),
        ("datasets", ", ".join(sorted(set(table["dataset"])))),
        ("models", ", ".join(sorted(set(table["model"])))),
        ("seeds", ", ".join(map(str, sorted(set(table["seed"]))))),
        ("steps", ", ".join(f"{steps:,}" for steps in sorted(set(costs["steps"])))),
        ("systems", ", ".join(sorted(set(costs["system"])))),
        ("time of all runs", f"{hours:.2g} hours"),
    ]
