from .record import Analysis
from .run import analyse
from .verification import Verification, verify

__all__ = ["Analysis", "Verification", "analyse", "verify"]
