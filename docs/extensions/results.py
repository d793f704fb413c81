"""The page of each study whose results are kept: written anew beside them, so that none of its megabytes are kept."""

from pathlib import Path
from typing import Any

from vaelens.report.study import write_study
from vaelens.study.results import StudyResults


def setup(app: Any) -> dict[str, Any]:
    """Has the pages written before anything refers to them."""
    app.connect("builder-inited", _write_pages)
    return {"parallel_read_safe": True}


def _write_pages(app: Any) -> None:
    for costs in sorted(Path(app.srcdir).glob("results/*/costs.csv")):
        write_study(StudyResults.read(costs.parent), costs.parent / "report.html")
