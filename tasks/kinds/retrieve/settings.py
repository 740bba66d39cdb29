"""Settings of a line that mean nothing to a retrieval model."""

from typing import Any

ALLOWED: dict[str, tuple[Any, ...]] = {
    "train.class_weights": ("none",),
    "train.head": ("new",),
    "train.label_smoothing": (0.0,),
    "evaluate.calibration": ("auto", "temperature"),
    "evaluate.scope": (None,),
}
"""By dotted path below the line: the values that this kind can have there."""

NEEDED: dict[str, str] = {}
"""By dotted path below the line: what must be given, and why."""

TEXTS = True
"""Whether a row is a text as the model reads it, which people can label; a row is an event of a user otherwise."""
