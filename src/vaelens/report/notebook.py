"""An analysis as a notebook shows it, with what it is of, what was found, and the scores."""

from vaelens.analysis import Analysis
from vaelens.markup import table, text
from vaelens.report.sentences import headlines
from vaelens.report.tables import score_rows
from vaelens.report.titles import title
from vaelens.report.wording import in_words_of, observation_of

_COLUMNS = ("score", "value", "interval", "chance", "untrained")


def in_html(analysis: Analysis) -> str:
    """Writes an analysis's title, its headlines and its scores as HTML."""
    found = "".join(f"<li>{text(sentence)}</li>" for sentence in headlines(analysis))
    rows = [[row[column] for column in _COLUMNS] for row in score_rows(analysis.scores)]
    heading = f"<p><strong>{text(title(analysis.provenance))}</strong>, {analysis.provenance['images']:,} images</p>"
    scores = table(["score", "value", "95 % interval", "chance", "untrained"], rows)
    return in_words_of(observation_of(analysis.provenance), f"{heading}<ul>{found}</ul>{scores}")
