from .record import Analysis
from .run import analyse

__all__ = ["Analysis", "analyse"]
