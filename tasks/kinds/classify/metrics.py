"""Evaluation of a classifier."""

from pathlib import Path
from typing import TYPE_CHECKING

from tasks.core.line import Line
from tasks.kinds.classify.checkpoint import Checkpoint
from tasks.kinds.common import metrics

if TYPE_CHECKING:
    from tasks.evaluate import EvaluateSettings


def evaluate(line: Line, settings: "EvaluateSettings", out: Path) -> None:
    """Read split/{validation,test}.parquet, behaviour.yaml and train's checkpoint; write what evaluate owes."""
    metrics.evaluate(line, settings, out, Checkpoint(line.folder / "train"))
