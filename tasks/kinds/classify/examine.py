"""What a classifier is examined on before it is exported: all that a model with labels for answers is."""

from tasks.kinds.common.examine import EXAMINATIONS, subject

__all__ = ["EXAMINATIONS", "subject"]
