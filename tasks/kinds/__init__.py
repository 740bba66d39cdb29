"""Task kinds: one package each; a stage imports only its own file of the line's kind."""

import importlib
from types import ModuleType


def load(kind: str, role: str) -> ModuleType:
    """The module that does `role` (train, metrics, gates, export, serve, settings) for a task kind."""
    return importlib.import_module(f"tasks.kinds.{kind}.{role}")
