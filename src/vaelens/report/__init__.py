"""Reports: an analysis as one HTML page that loads nothing from the network, and its findings as plain sentences."""

from vaelens.report.comparison import write_comparison
from vaelens.report.pages import write_analysis
from vaelens.report.sentences import sentences
from vaelens.report.study import write_study

__all__ = ["sentences", "write_analysis", "write_comparison", "write_study"]
