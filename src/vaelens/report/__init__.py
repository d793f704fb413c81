"""Reports of an analysis, as one HTML page that loads nothing from the network and as plain sentences."""

from vaelens.report.comparison import write_comparison
from vaelens.report.notebook import in_html
from vaelens.report.pages import write_analysis
from vaelens.report.paper import figure, table
from vaelens.report.sentences import sentences

__all__ = ["figure", "in_html", "sentences", "table", "write_analysis", "write_comparison"]
