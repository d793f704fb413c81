from .findings.examination import findings_of
from .findings.finding import Finding, Findings
from .study import Study

__all__ = ["Finding", "Findings", "Study", "findings_of"]
