"""How two retrieval models are compared: by the labels that they answer."""

from tasks.kinds.common.compare import COLUMNS, answered, bootstrapped, examples, slices

__all__ = ["COLUMNS", "answered", "bootstrapped", "examples", "slices"]
