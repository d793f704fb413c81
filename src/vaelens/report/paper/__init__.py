"""What goes from an analysis into a paper, which is figures by matplotlib, to be changed and saved, and tables."""

from vaelens.report.paper.figures import figure
from vaelens.report.paper.tables import table

__all__ = ["figure", "table"]
