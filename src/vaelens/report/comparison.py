"""The page of a comparison, with several models on the same data, what tells them apart, and all numbers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from vaelens.comparison import Comparison
from vaelens.errors import VaelensError
from vaelens.metrics.catalogue import COUNT, METRICS
from vaelens.report.figures import Figure
from vaelens.report.numerals import NOTHING, listed, spoken
from vaelens.report.panels import Marks, Panel, panelled
from vaelens.report.rendering import columns, p_value, rendered, write_page
from vaelens.report.tables import described
from vaelens.report.titles import source

_TOLD = 6  # differences that are told in sentences, of two models
_CONDITIONS = (
    "Brackets hold 95 % intervals over images. They are of these trained models: training one again would change its "
    "numbers by more than they say, so a difference here is one of models, not of methods. A study with several seeds "
    "compares methods."
)


def write_comparison(comparison: Any, path: Any) -> Path:
    """Writes a comparison as one HTML page that needs no other file and no network.

    Raises:
        VaelensError: something else than a Comparison, or a path that is a folder or can't be written.
    """
    if not isinstance(comparison, Comparison):
        raise VaelensError(f"expected a Comparison, got a {type(comparison).__name__}; make one with vl.compare")
    return write_page(comparison_page(comparison), path)


def comparison_page(comparison: Comparison) -> bytes:
    """Renders a comparison as one HTML page, the same bytes for the same comparison."""
    dataset = next(iter(comparison.provenance.values()))["dataset"]
    plots = {"scores": _score_panels(comparison.scores)}
    latents = _latent_panels(comparison.latents)
    if latents is not None:
        plots["latents"] = latents
    contents = [("found", "What was found"), ("scores", "Scores side by side")]
    contents += [("latents", "How strength is spread over latents")] if latents is not None else []
    contents += [("differences", "Differences"), ("numbers", "All scores"), ("models", "The models")]
    images = {int(provenance["images"]) for provenance in comparison.provenance.values()}
    return rendered(
        "comparison.html.j2",
        title=f"{listed(comparison.names)} on {source(dataset)}",
        about=f"A comparison of {len(comparison.names)} models on {listed(sorted(images))} images of {source(dataset)}"
        f"{', the same for all' if comparison.are_paired else ', not the same for all'}.",
        contents=contents,
        findings=_sentences(comparison),
        conditions=_CONDITIONS,
        plots={
            name: {"html": Markup(figure.html(f"plot-{name}")), "narrowest": figure.narrowest}
            for name, figure in plots.items()
        },
        difference_columns=columns("score", "first", "second", "*difference", "*p, adjusted", "better", "how"),
        differences=[_difference_row(row) for row in comparison.differences.to_dict("records")],
        score_columns=columns("score", "unit", *(f"*{name}" for name in comparison.names), "better"),
        scores=_score_rows(comparison),
        models=[(name, _described(provenance)) for name, provenance in comparison.provenance.items()],
    )


def _sentences(comparison: Comparison) -> list[str]:
    """Says whether the models are paired, and of each pair which scores tell them apart."""
    said = [
        "All models were analysed on the same images, so what makes an image easy or hard for all of them cancels."
        if comparison.are_paired
        else f"Not paired: {comparison.unpaired}. Differences are judged by both intervals, which is less sharp."
    ]
    table = comparison.differences
    table = table.assign(directed=[bool(METRICS[score].better) for score in table["score"]])
    for (first, second), rows in table.groupby(["first", "second"], sort=False):
        told = rows[rows["better"] != ""]
        judged = rows[rows["directed"] & rows["p_adjusted"].notna()]
        parts = []
        for better in (first, second):
            scores = [
                f"{row['label']} ({spoken(row['difference'], row['low'], row['high'])})"
                for row in told[told["better"] == better].head(_TOLD).to_dict("records")
            ]
            if scores:
                parts.append(f"{better} is better by {listed(scores)}")
        untold = judged[judged["better"] == ""]["label"].tolist()
        if untold:
            parts.append(f"not told apart by {listed(untold[:_TOLD])}")
        if parts:
            said.append(f"{first} less {second}: {'; '.join(parts)}.")
    return said


def _score_panels(scores: pd.DataFrame) -> Figure:
    """Plots a panel for each score that two models or more have, with a point for each model."""
    panels, names = [], list(dict.fromkeys(scores["model"]))
    for key, rows in scores.groupby("score", sort=False):
        rows = rows[np.isfinite(rows["value"])]
        if len(rows) < 2:
            continue
        marks = [
            Marks(row["model"], [names.index(row["model"])], [row["value"]], [row["low"]], [row["high"]])
            for row in rows.to_dict("records")
        ]
        unit = METRICS[str(key)].unit
        x = {"showticklabels": False, "ticks": "", "range": [-0.7, len(names) - 0.3]}
        short = f" ({unit})" if unit and len(unit) < 12 and unit != COUNT else ""
        panels.append(Panel(f"{METRICS[str(key)].label}{short}", marks, x, {"rangemode": "tozero"}))
    return panelled(panels, columns=3, height=130)


def _latent_panels(latents: Mapping[str, Mapping[str, np.ndarray]]) -> Figure | None:
    """Plots a panel for each measure of latents, with a line for each model, strongest first."""
    titles = {"ces_posterior": "posterior CES (pixel-L2)", "information": "information (nats)"}
    panels = []
    for measure, title in titles.items():
        marks = [
            Marks(name, list(range(1, len(values) + 1)), np.sort(values)[::-1].tolist(), line=True)
            for name, of_model in latents.items()
            if (values := of_model.get(measure)) is not None and np.isfinite(values).all()
        ]
        if marks:
            panels.append(Panel(title, marks, {"title_text": "latent, by rank"}, {"rangemode": "tozero"}))
    return panelled(panels, columns=2, height=200) if panels else None


def _difference_row(row: Mapping[Any, Any]) -> list[str]:
    difference = spoken(row["difference"], row["low"], row["high"])
    p, better = p_value(row["p_adjusted"]), row["better"] or NOTHING
    return [row["label"], row["first"], row["second"], difference, p, better, row["how"]]


def _score_rows(comparison: Comparison) -> list[list[str]]:
    rows = []
    for key, of_score in comparison.scores.groupby("score", sort=False):
        metric, by_model = METRICS[str(key)], of_score.set_index("model")
        written = _whole if metric.unit == COUNT else spoken
        values = [
            written(*(float(by_model[end][name]) for end in ("value", "low", "high")))
            if name in by_model.index
            else NOTHING
            for name in comparison.names
        ]
        unit = metric.unit if metric.unit not in ("", COUNT) else NOTHING
        rows.append([metric.label, unit, *values, metric.better or NOTHING])
    return rows


def _whole(*ends: float) -> str:
    """Writes a count with its interval, where it has one."""
    value, low, high = (f"{end:.0f}" if np.isfinite(end) else NOTHING for end in ends)
    return value if NOTHING in (low, high) or low == high else f"{value} [{low}, {high}]"


def _described(provenance: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Lists what in a model's analysis says how its numbers were made."""
    told = {
        name: provenance[name]
        for name in ("seed", "images", "images_seen_in_training", "images_sha256")
        if name in provenance
    }
    return described({**provenance["model"], **told, "versions": provenance["versions"]})
