"""`vaelens compare` sets analyses of several models on the same data side by side."""

from pathlib import Path
from typing import Annotated

import typer

from vaelens.errors import VaelensError
from vaelens.paths import user_path

_FILES = ("scores.csv", "differences.csv", "comparison.html")


def compare(
    folders: Annotated[
        list[str], typer.Argument(metavar="DIR", help="Two or more folders that vaelens analyse wrote.")
    ],
    out: Annotated[str, typer.Option("--out", metavar="DIR", help="Where page and tables go.")] = "runs/comparison",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the page and the tables that --out holds.")
    ] = False,
) -> None:
    """Compare models on the same data, with scores side by side, differences paired over the same images and a page."""
    if len(folders) < 2:
        raise VaelensError("compare takes two or more folders of analyses, such as runs/a/analysis runs/b/analysis")
    import vaelens as vl

    paths = [_analysis_at(user_path("DIR", folder)) for folder in folders]
    target = user_path("--out", out)
    there = [name for name in _FILES if (target / name).exists()]
    if there and not overwrite:
        raise VaelensError(f"{str(target)!r} holds {', '.join(there)} already; give another --out, or --overwrite")
    comparison = vl.compare([vl.Analysis.load(path) for path in paths])
    for name, path in zip(comparison.names, paths, strict=True):
        print(f"{name}: {path}")
    print(comparison)
    comparison.save(target)
    print(f"tables: {target / _FILES[0]} and {_FILES[1]}")
    print(f"report: {comparison.report(target / _FILES[2])}")


def _analysis_at(path: Path) -> Path:
    """Finds the analysis in a folder, or in that of its model."""
    inside = path / "analysis"
    return inside if (inside / "manifest.json").exists() and not (path / "manifest.json").exists() else path
