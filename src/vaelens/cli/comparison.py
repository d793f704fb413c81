"""`vaelens compare`: analyses of several models on the same data, side by side."""

from pathlib import Path
from typing import Annotated

import typer

from vaelens.errors import VaelensError
from vaelens.paths import user_path


def compare(
    folders: Annotated[
        list[str], typer.Argument(metavar="DIR...", help="Two or more folders that vaelens analyse wrote.")
    ],
    out: Annotated[str, typer.Option("--out", metavar="DIR", help="Where page and tables go.")] = "runs/comparison",
) -> None:
    """Compare models on the same data: scores side by side, differences paired over the same images, and a page."""
    if len(folders) < 2:
        raise VaelensError("compare takes two or more folders of analyses, such as runs/a/analysis runs/b/analysis")
    import vaelens as vl

    paths = [_analysis_at(user_path("DIR", folder)) for folder in folders]
    target = user_path("--out", out)
    comparison = vl.compare([vl.Analysis.load(path) for path in paths])
    for name, path in zip(comparison.names, paths, strict=True):
        print(f"{name}: {path}")
    print(comparison)
    comparison.save(target)
    print(f"tables: {target / 'scores.csv'} and differences.csv")
    print(f"report: {comparison.report(target / 'comparison.html')}")


def _analysis_at(path: Path) -> Path:
    """Finds the analysis in a folder, or in that of its model."""
    inside = path / "analysis"
    return inside if (inside / "manifest.json").exists() and not (path / "manifest.json").exists() else path
