"""Bootstrap intervals of figures that follow from sums over rows."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""Turns sums over rows [..., columns] into values [...]; NaN where they tell none."""

CHUNK = 10_000_000  # cells of the weight matrix held at a time: 80 MB
LEVEL = 0.95


def interval(sums: Floats, statistic: Statistic, samples: int, seed: int) -> dict[str, Any] | None:
    """A figure of rows, each known by what it adds to the sums [rows, columns], with a percentile bootstrap interval.

    Keys value, low, high, level, rows and bootstrap_samples; None where the rows tell no value. Rows with the same sums
    are drawn together by a multinomial: the same, but faster.
    """
    kinds, rows = np.unique(sums, axis=0, return_counts=True)
    value = float(statistic(rows @ kinds)) if len(kinds) else float("nan")
    if not np.isfinite(value):
        return None
    low, high = np.nanquantile(_drawn(kinds, rows, statistic, samples, seed), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {
        "value": value, "low": float(low), "high": float(high), "level": LEVEL, "rows": len(sums),
        "bootstrap_samples": samples,
    }  # fmt: skip


def _drawn(kinds: Floats, rows: NDArray[np.int64], statistic: Statistic, samples: int, seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    share = rows / rows.sum()
    step = max(1, CHUNK // len(rows))
    sizes = [min(step, samples - done) for done in range(0, samples, step)]
    return np.concatenate([statistic(rng.multinomial(rows.sum(), share, size=size) @ kinds) for size in sizes])
