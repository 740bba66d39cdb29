"""Settings of a line that recommends, and those that mean nothing to one."""

from typing import Any

METRICS = ("ndcg_at_10", "recall_at_10", "hit_at_10")

ALLOWED: dict[str, tuple[Any, ...]] = {
    "label.by": ("column",),
    "split.by": ("time_in_group",),
    "train.class_weights": ("none",),
    "train.head": ("new",),
    "train.label_smoothing": (0.0,),
    "evaluate.calibration": ("auto", "temperature"),
    "evaluate.scope": (None,),
    "quality_gate.slices": ((),),
    "quality_gate.worst_slices": (None,),
    "quality_gate.brier_max": (None,),
    "export.variants": (("fp32",),),
    "compare.decide_by": METRICS,
}
"""By dotted path below the line: the values that this kind can have there."""

NEEDED: dict[str, str] = {"train.rank": "how a history is read, and when an item counts as liked"}
"""By dotted path below the line: what must be given, and why."""

TEXTS = False
"""Whether a row is a text as the model reads it, which people can label; a row is an event of a user otherwise."""
