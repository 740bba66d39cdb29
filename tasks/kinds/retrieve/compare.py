"""How two retrieval models are compared: by the labels that they answer."""

from tasks.kinds.common.compare import COLUMNS, answered, bootstrapped, examples, slices

SAME_LABELS = False
"""Answers come and go: a release that does not know one cannot give it, and is wrong where it was asked for."""

__all__ = ["COLUMNS", "SAME_LABELS", "answered", "bootstrapped", "examples", "slices"]
