"""What notebooks show of an analysis."""

from vaelens.report.sentences import headlines
from vaelens.report.tables import score_rows


def test_title_headlines_and_scores_are_there_as_text(analysis_of):
    analysis = analysis_of(name="<b>x</b>")
    shown = analysis._repr_html_()
    assert "vae on &lt;b&gt;x&lt;/b&gt;" in shown
    assert shown.count("<li>") == len(headlines(analysis))
    for row in score_rows(analysis.scores):
        assert f"<tr><th>{row['score']}</th><td>{row['value']}</td>" in shown
