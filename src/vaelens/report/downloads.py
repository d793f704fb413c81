"""The numbers of a page's figures as CSV files that stand in the page."""

import base64

from vaelens.analysis import Analysis
from vaelens.report.paper.tables import table

_TABLES = {  # of `Analysis.table`, by the figure whose numbers each has
    "strengths": "latents",
    "modes": "modes",
    "associations": "changes",
    "labels": "labels",
    "recovered": "units",
    "mediations": "mediation",
    "positions": "positions",
}


def csv_uri(analysis: Analysis, figure: str) -> str:
    """Packs a figure's numbers into an address that holds a CSV file, empty where there is no table of them."""
    if figure not in _TABLES:
        return ""
    return f"data:text/csv;base64,{base64.b64encode(table(analysis, _TABLES[figure]).to_csv().encode()).decode()}"
