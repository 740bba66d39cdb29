"""Checks by a classifier that is taught to tell the windows apart: of texts, and of what the model makes of them."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tasks.drift import words
from tasks.drift.domain import FOLDS, Told, tell_apart
from tasks.drift.result import Check, Skipped
from tasks.drift.settings import MonitorSettings
from tasks.drift.window import Window

FEWEST = 4 * FOLDS
"""Rows of either window that a classifier needs."""
WAVES = 200
"""Random Fourier features (Rahimi and Recht, NIPS 2007): they stand for a Gaussian kernel on the projections."""
RIDGE = 10.0
PAIRS = 1_000
"""Distances of which the median is the kernel's width."""


def text(reference: Window, current: Window, settings: MonitorSettings, level: float, sampled: bool) -> Check | Skipped:
    """Whether terms tell the windows apart. `level` is the p that alarms."""
    sides = [[one for one in window.text if one is not None] for window in (reference, current)]
    if lacking := _lacking("text", [len(side) for side in sides], "texts are not kept in the log"):
        return lacking
    texts = [*sides[0], *sides[1]]
    if (found := words.features(texts)) is None:
        return Skipped(name="text", reason="No term stands in two texts.")
    features, terms = found
    is_current = np.arange(len(texts)) >= len(sides[0])
    told = tell_apart(features, is_current, level, settings.seed)
    evidence = {
        "terms": words.distinguishing(features, terms, is_current),
        "examples": words.examples(sides[1], told.rank[is_current]),
    }
    return _check("text", "texts", told, sides, settings, sampled, evidence)


def embedding(
    reference: Window, current: Window, settings: MonitorSettings, level: float, sampled: bool
) -> Check | Skipped:
    """Whether the model's embeddings tell the windows apart. `level` is the p that alarms."""
    if reference.projection.shape[1] != current.projection.shape[1]:
        return Skipped(name="embedding", reason="Reference and window have embeddings of different width.")
    known = [_finite(window.projection) for window in (reference, current)]
    width = current.projection.shape[1]
    rows = [int(side.sum()) if width else 0 for side in known]
    if lacking := _lacking("embedding", rows, "embeddings are not kept in the log"):
        return lacking
    sides = [window.projection[side] for window, side in zip((reference, current), known, strict=True)]
    is_current = np.arange(sum(rows)) >= rows[0]
    told = tell_apart(waves(np.concatenate(sides), settings.seed), is_current, level, settings.seed, RIDGE)
    texts = [one or "" for one, there in zip(current.text, known[1], strict=True) if there]
    evidence = {"examples": words.examples(texts, told.rank[is_current])} if all(texts) else {}
    return _check("embedding", "embeddings", told, sides, settings, sampled, evidence)


def waves(projection: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """[rows, WAVES]: inner products of these are near a Gaussian kernel whose width is the rows' median distance."""
    rng = np.random.default_rng(seed)
    scale = projection.std(axis=0)
    values = (projection - projection.mean(axis=0)) / np.where(scale > 0, scale, 1)
    left, right = rng.integers(0, len(values), (2, PAIRS))
    width = float(np.sqrt(np.median(((values[left] - values[right]) ** 2).sum(axis=1)) / 2)) or 1.0
    directions = rng.standard_normal((values.shape[1], WAVES)).astype(np.float32) / np.float32(width)
    shift = rng.uniform(0, 2 * np.pi, WAVES).astype(np.float32)
    found = np.cos(values.astype(np.float32) @ directions + shift) * np.float32(np.sqrt(2 / WAVES))
    centred: NDArray[np.float32] = found - found.mean(axis=0)
    return centred


def _finite(projection: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(projection).all(axis=1))


def _lacking(name: Literal["text", "embedding"], rows: list[int], cause: str) -> Skipped | None:
    for side, count in zip(("reference", "window"), rows, strict=True):
        if not count:
            return Skipped(name=name, reason=f"The {side} has none: {cause}.")
        if count < FEWEST:
            return Skipped(name=name, reason=f"{count} rows of the {side} have one; {FEWEST} are needed.")
    return None


def _check(
    name: Literal["text", "embedding"],
    what: str,
    told: Told,
    sides: list[Any],
    settings: MonitorSettings,
    sampled: bool,
    evidence: dict[str, Any],
) -> Check:
    limit = settings.limit(name)
    return Check(
        name=name,
        statistic="AUC of a domain classifier",
        value=told.auc,
        limit=limit,
        p=told.p,
        reason=f"{told.unlike:.0%} of the {what} are less like the reference than nine in ten of its own; "
        f"a classifier tells the windows apart with an AUC of {told.auc:.2f}.",
        rows_reference=len(sides[0]),
        rows_current=len(sides[1]),
        sampled=sampled,
        detectable=max(told.detectable, limit),
        evidence={"unlike": told.unlike, **evidence},
    )
