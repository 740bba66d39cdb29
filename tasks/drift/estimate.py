"""Accuracy of a window: known where labels have come, else estimated from what the model's answers tell."""

import numpy as np

from tasks.drift.result import Figure
from tasks.drift.settings import MonitorSettings
from tasks.drift.window import Window

CONFIDENCE = 0.9


def accuracy(right: int, rows: int) -> Figure | None:
    """A share with its interval (Wilson 1927, two-sided 90 %); None without rows."""
    if not rows:
        return None
    from scipy.stats import binomtest

    ends = binomtest(right, rows).proportion_ci(CONFIDENCE, method="wilson")
    return Figure(value=right / rows, low=float(ends.low), high=float(ends.high), rows=rows)


def estimated(reference: Window, current: Window, settings: MonitorSettings) -> Figure | None:  # noqa: ARG001
    """Accuracy of the rows of the current window, without their labels: the mean of the calibrated confidence."""
    confidence = np.nanmax(current.probabilities, axis=1) if len(current) else np.empty(0)
    if not len(confidence):
        return None
    mean = float(confidence.mean())
    spread = 1.645 * float(np.sqrt((confidence * (1 - confidence)).mean() / len(confidence)))
    return Figure(value=mean, low=max(0.0, mean - spread), high=min(1.0, mean + spread), rows=len(confidence))


def cost(reference: Figure | None, known: Figure | None, estimated: Figure | None) -> Figure | None:
    """Accuracy lost against the reference: by labels where there are enough to be surer than the estimate."""
    found = known if known is not None and (estimated is None or known.rows >= 50) else estimated
    if reference is None or found is None:
        return None
    lost = reference.value - found.value
    spread = float(np.hypot((reference.high - reference.low) / 2, (found.high - found.low) / 2))
    return Figure(value=lost, low=lost - spread, high=lost + spread, rows=found.rows)
