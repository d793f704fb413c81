"""Keeps what a study found in the documentation: `python -m benchmarks.study_results FOLDER docs/results`.

Writes NAME.md (command, versions, machine, time, findings, pictures, means) and the folder NAME with the table, the
numbers of the findings, the training curves, the costs and the study's file. `python -m benchmarks.study_results
docs/results/NAME` judges and writes anew what follows from those; how the study was made stays as the page has it.
"""

import json
import shutil
import sys
from pathlib import Path

import pandas as pd

from benchmarks.study_pictures import draw
from vaelens.metrics.catalogue import METRICS
from vaelens.study import Study
from vaelens.study.findings.runs import runs_of
from vaelens.study.results import StudyResults

_SHOWN = (
    "reconstruction_error",
    "active_latents",
    "ces",
    "ces_relative",
    "ces_posterior",
    "dci_disentanglement",
    "mig",
)
_FALLING = 0.02  # of the error, in the last tenth of the steps


def keep(folder: Path, into: Path) -> Path:
    """Writes the page and its data, and returns the page."""
    study = Study.from_folder(folder)
    results = study.results()
    kept, page = into / results.name, into / f"{results.name}.md"
    kept.mkdir(parents=True, exist_ok=True)
    results.write(kept)
    shutil.copy(folder / "study.yaml", kept / "study.yaml")
    made = "\n".join([f"# What the study {results.name} found", "", *_how(study, results, folder), ""])
    page.write_text(f"{made}\n{_told(results, draw(results, kept))}", encoding="utf-8")
    return page


def tell_again(kept: Path) -> Path:
    """Judges a study that is kept anew, and writes the page but for how the study was made."""
    results, page = StudyResults.read(kept), kept.with_suffix(".md")
    made, found, _ = page.read_text(encoding="utf-8").partition("## Findings\n")
    assert found, "a page says what was found below how it was made"
    results.findings.write(kept)
    page.write_text(made + _told(results, draw(results, kept)), encoding="utf-8")
    return page


def _told(results: StudyResults, pictures: dict[str, str]) -> str:
    """Says what was found: findings, pictures, modes and means."""
    name = results.name
    found = [f"**{finding.rule.claim}** *{finding.verdict}*: {finding.sentence}" for finding in results.findings]
    lines = [
        "## Findings",
        "",
        "By the [rules](../studies.md#findings) written down before. Every number stands in "
        f"[findings.csv]({name}/findings.csv)",
        f"and can be computed again from [runs.parquet]({name}/runs.parquet). All of it as tables and figures is the",
        f"study's page, [{name}/report.html]({name}/report.html), which `make docs` writes: it is in the built",
        "documentation alone, not among the sources.",
        "",
        *(f"- {sentence}" for sentence in found),
        "",
        *(line for file, text in pictures.items() for line in (f"![{text}]({name}/{file})", "", text, "")),
        "## What depends on the mode of intervention",
        "",
        *_by_mode(results.findings.modes),
        "",
        "## Means",
        "",
        "Over seeds, ± their standard deviation; in brackets over how many of them, where some have no value. Active",
        "latents are out of all that the model has; those of vq-vae are the channels of its code vectors.",
        "",
        *_means(results),
        "",
    ]
    return "\n".join(lines)


def _how(study: Study, results: StudyResults, folder: Path) -> list[str]:
    """Says how the study was made."""
    name, costs, convergence = results.name, results.costs, results.convergence
    planned = len(study.plan.datasets) * len(study.plan.models) * len(study.plan.seeds)
    first = next(iter(sorted(folder.glob("runs/*/*/*"))))
    provenance = json.loads((first / "analysis" / "manifest.json").read_text(encoding="utf-8"))["provenance"]
    versions = ", ".join(f"{package} {version}" for package, version in provenance["versions"].items())
    training, analysis = (costs[["training", "analysis"]].sum() / 60).tolist()
    fall, falling = float(convergence["fall"].median()), int((convergence["fall"] > _FALLING).sum())
    ignored = int(runs_of(results.table)["ces_relative"].isna().sum())
    return [
        f"{len(costs)} of {planned} runs of [the study's file]({name}/study.yaml), kept by",
        "",
        "```",
        f"vaelens study run studies/{name}.yaml --out runs/{name} --workers 2",
        f"python -m benchmarks.study_results runs/{name} docs/results",
        "```",
        "",
        f"- versions: {versions}",
        f"- system: {', '.join(sorted(set(costs['system'])))}; one thread a run, two runs at a time",
        f"- time: {training:.0f} minutes of training and {analysis:.0f} of analysis, summed over runs, by the clock",
        f"- training: in the last tenth of the steps the error fell by {fall:.1%} (median of runs), and by more than",
        f"  {_FALLING:.0%} in {falling} of {len(costs)}: what is said here is of models trained this long",
        f"- {ignored} of {len(costs)} models decode all images alike, or have no active latent: no relative CES there",
    ]


def _by_mode(modes: pd.DataFrame) -> list[str]:
    head = ["mode", "relative CES and DCI", "partial r", "p", "VQ-VAE near zero", "order, τ", "runs"]
    rows = [
        [
            str(row["mode"]),
            str(row["trade_off"]),
            f"{row['r']:.2f}",
            f"{row['p']:.2g}",
            str(row["quantised"]),
            f"{row['order']:.2f}",
            str(row["runs"]),
        ]
        for row in modes.to_dict("records")
    ]
    if not rows:
        return ["No run was analysed by several modes."]
    return [
        "The findings on CES and DCI and on VQ-VAE once more, by relative CES under each mode. Partial r: the",
        "correlation of relative CES and DCI disentanglement over means of dataset and model, reconstruction error",
        "partialled out. τ: Kendall's, of the models' order by relative CES with that under mode range, averaged over",
        "datasets; 1 is the same order, −1 the reverse. Runs: those that have a relative CES.",
        "",
        *_table(head, rows),
    ]


def _means(results: StudyResults) -> list[str]:
    runs = runs_of(results.table)
    shown = [key for key in _SHOWN if key in runs.columns]
    rows = []
    for (dataset, model), group in runs.groupby(["dataset", "model"], sort=False):
        latents = group["latent_dim"].iloc[0]
        written = {key: _with_spread(group[key]) for key in shown}
        if "active_latents" in written and latents == latents:
            written["active_latents"] += f" of {latents:g}"
        rows.append([str(dataset), str(model), str(len(group)), *written.values()])
    return _table(["dataset", "model", "seeds", *(METRICS[key].label for key in shown)], rows)


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def _with_spread(values: pd.Series) -> str:
    """Writes mean and standard deviation over seeds, and of how many where a seed has no value."""
    known = values.dropna()
    if known.empty:
        return "–"
    spread = f" ± {known.std():.1g}" if len(known) > 1 else ""
    return f"{known.mean():.3g}{spread}" + (f" ({len(known)} of {len(values)})" if len(known) < len(values) else "")


if __name__ == "__main__":
    print(keep(Path(sys.argv[1]), Path(sys.argv[2])) if len(sys.argv) > 2 else tell_again(Path(sys.argv[1])))
