"""Settings of a line that mean nothing to a classifier."""

from typing import Any

ALLOWED: dict[str, tuple[Any, ...]] = {
    "release_gate.fp32.similarity_gap_p95_max": (None,),
    "release_gate.int8.similarity_gap_p95_max": (None,),
}
"""By dotted path below the line: the values that this kind can have there."""

NEEDED: dict[str, str] = {"label.labels": "its answers are these, in this order"}
"""By dotted path below the line: what must be given, and why."""

TEXTS = True
"""Whether a row is a text as the model reads it, which people can label; a row is an event of a user otherwise."""
