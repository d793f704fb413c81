"""Keeps what a study found in the documentation: `python -m benchmarks.study_results FOLDER docs/results`.

Writes NAME.md (command, versions, machine, time, findings, means) and the folder NAME with the table, the numbers of
the findings and the study's file, which are all that the page is made from.
"""

import json
import shutil
import sys
from pathlib import Path

import pandas as pd

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


def keep(folder: Path, into: Path) -> Path:
    """Writes the page and its data, and returns the page."""
    study = Study.from_folder(folder)
    results = study.results()
    kept, page = into / results.name, into / f"{results.name}.md"
    kept.mkdir(parents=True, exist_ok=True)
    results.table.to_parquet(kept / "runs.parquet", index=False)
    results.findings.write(kept)
    shutil.copy(folder / "study.yaml", kept / "study.yaml")
    page.write_text(_page(study, results, folder), encoding="utf-8")
    return page


def _page(study: Study, results: StudyResults, folder: Path) -> str:
    name, runs, costs, convergence = results.name, runs_of(results.table), results.costs, results.convergence
    planned = len(study.plan.datasets) * len(study.plan.models) * len(study.plan.seeds)
    first = next(iter(sorted(folder.glob("runs/*/*/*"))))
    provenance = json.loads((first / "analysis" / "manifest.json").read_text(encoding="utf-8"))["provenance"]
    versions = ", ".join(f"{package} {version}" for package, version in provenance["versions"].items())
    training, analysis = (costs[["training", "analysis"]].sum() / 60).tolist()
    shown = [key for key in _SHOWN if key in runs.columns]
    means = runs.groupby(["dataset", "model"])[shown].agg(["mean", "std"])
    head = ["dataset", "model", "seeds", *(METRICS[key].label for key in shown)]
    rows = [
        [
            *map(str, cell),
            str(int((runs["model"] == cell[1]).sum())),
            *(_with_spread(means.loc[cell], key) for key in shown),
        ]
        for cell in means.index
    ]
    found = [f"**{finding.rule.claim}** *{finding.verdict}*: {finding.sentence}" for finding in results.findings]
    falling = int((convergence["fall"] > 0.02).sum())
    lines = [
        "---",
        "orphan: true",
        "---",
        "",
        f"# What the study {name} found",
        "",
        f"{len(costs)} of {planned} runs of [the study's file]({name}/study.yaml), kept by",
        "",
        "```",
        f"vaelens study run studies/{name}.yaml --out runs/{name}",
        f"python -m benchmarks.study_results runs/{name} docs/results",
        "```",
        "",
        f"- versions: {versions}",
        f"- system: {', '.join(sorted(set(costs['system'])))}; one thread a run, on a machine that others were using",
        f"- time: {training:.0f} minutes of training and {analysis:.0f} of analysis, by the clock",
        f"- the error still fell by more than 2 % in the last tenth of the steps in {falling} of {len(costs)} runs",
        "",
        "## Findings",
        "",
        f"By the [rules](../studies.md#findings) written down before. Numbers: [findings.csv]({name}/findings.csv)",
        f"and can be computed again from [runs.parquet]({name}/runs.parquet).",
        "",
        *(f"- {sentence}" for sentence in found),
        "",
        "## Means",
        "",
        "Over seeds, ± their standard deviation.",
        "",
        *(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)),
        "",
    ]
    return "\n".join(lines)


def _with_spread(moments: pd.Series, key: str) -> str:
    mean, spread = float(moments[key, "mean"]), float(moments[key, "std"])
    return f"{mean:.3g}" + (f" ± {spread:.1g}" if spread == spread else "")


if __name__ == "__main__":
    print(keep(Path(sys.argv[1]), Path(sys.argv[2])))
