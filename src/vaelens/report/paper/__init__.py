"""Figures by matplotlib, to be changed and saved, and tables of numbers that go from an analysis into a paper."""

from vaelens.report.paper.figures import figure
from vaelens.report.paper.tables import table

__all__ = ["figure", "table"]
