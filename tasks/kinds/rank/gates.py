"""What a ranking model's export is held to: the lists of its torch model."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks.core.line import Line
from tasks.examination import Examination, to_look_at
from tasks.inference import Model, Signature
from tasks.kinds.common.gates import ALONE, BATCHES, limit
from tasks.kinds.rank.serve import Answering, portions, probe
from tasks.kinds.rank.shared import history, rankings, users
from tasks.verdict import Check

if TYPE_CHECKING:
    import pandas as pd

    from tasks.release_gate import ReleaseGateSettings, VariantLimits

Floats = NDArray[np.floating[Any]]

ROUNDING = 1e-4  # of a probability
FOUND = 0.95  # of the ten best items, at least, that an index must find


@dataclass(frozen=True)
class Measured:
    """The test rows with the torch model's lists: the measure of every variant."""

    rows: "pd.DataFrame"
    """As tasks.kinds.rank.shared.users has it."""

    @property
    def texts(self) -> list[str]:
        """[rows], histories."""
        return list(self.rows["text"])


def measured(line: Line, signature: Signature) -> Measured:  # noqa: ARG001 - items that are not known are nobody's
    """Read split/*.parquet and evaluate/predictions.parquet. Raises DataError where they do not go together."""
    return Measured(users.told(line, "test"))


def contract(
    signature: Signature,
    tokenizer: Path,  # noqa: ARG001 - reads no history
    kept: Mapping[str, Any],
    truth: Measured,
    settings: "ReleaseGateSettings",
) -> Examination:
    """Checks of what all variants share: the order of the items, and how much of a history is read."""
    placed = set(enumerate(signature.labels)) ^ set(enumerate(kept["labels"]))
    checks = [
        limit("labels", len({item for _, item in placed}), None, 0),
        limit("history", signature.max_length, kept["max_length"], kept["max_length"]),
    ]
    rows = [
        to_look_at(check, truth.rows.assign(why="other items than evaluate saw"), settings.rows_per_check)
        for check in checks
        if check.outcome == "reject"
    ]
    return Examination(checks, rows)


def checks(model: Model, truth: Measured, limits: "VariantLimits", settings: "ReleaseGateSettings") -> Examination:
    """Every check of one variant, named `<variant>.<check>`, and the rows where its list is not torch's.

    agreement: the share of torch's lists that the variant's have, where what is as probable as the last of a list, but
    for rounding, counts as in it; gap_p95: of the probabilities of the items in torch's lists. Gaps are in shares of
    the first item's probability: among many items all are small.
    """
    rows, found = truth.rows, _held(model, truth.rows)
    same, gap, gain = found.same, found.gap, float(found.ndcg.mean())
    name, count = f"{model.variant}.", len(rows)
    checked = [
        limit(name + "agreement", float(same.mean()), limits.agreement_min, None, count),
        limit(name + "gap_p95", float(np.quantile(gap, 0.95)), None, limits.gap_p95_max, count),
        limit(name + "ndcg_at_10", gain, limits.accuracy_min, None, count),
        limit(name + "ndcg_at_10_drop", float(rows["ndcg"].mean()) - gain, None, limits.accuracy_drop_max, count),
        *_index(name + "index_recall_at_10", model, truth.texts),
        _runs(name + "shapes_failed", model),
        limit(name + "alone_gap_p95", float(np.quantile(found.alone, 0.95)), None, limits.alone_gap_p95_max),
    ]
    why = rows.assign(why=[f"{share:.0%} of torch's list" for share in same])[(same < 1) | (gap > limits.gap_p95_max)]
    told_ = [to_look_at(check, why, settings.rows_per_check) for check in checked if check.outcome == "reject"]
    return Examination(checked, told_)


@dataclass(frozen=True)
class _Held:
    """A variant's lists held against torch's, user by user; gaps are in shares of the first item's probability."""

    same: Floats
    """[rows], the share of torch's list that the variant's has."""
    gap: Floats
    """[rows], the greatest of the probabilities of the items in torch's list."""
    ndcg: Floats
    alone: Floats
    """[some rows], how far probabilities move when a history is asked for alone instead of in company."""


def _held(model: Model, rows: "pd.DataFrame") -> _Held:
    """All users, but never more of them at once than memory is to hold probabilities over all items of."""
    numbers = {item: number for number, item in enumerate(model.signature.labels)}
    texts, some, parts = rows["text"].tolist(), _some(len(rows)), []
    for place, answers in portions(model, texts):
        told, found = rows.iloc[place], answers.probabilities
        torch, targets = (
            [np.array([numbers[item] for item in row], dtype=np.int64) for row in told[column]]
            for column in ("listed", "targets")
        )
        lists, chances = rankings.top(found), np.take_along_axis(found, np.stack(torch), axis=1)
        ends = np.take_along_axis(found, lists[:, [0, -1]], axis=1)
        same = (chances >= ends[:, 1:] * (1 - ROUNDING)).mean(axis=1)
        gap = np.abs(chances - np.stack(told["chances"].tolist())).max(axis=1) / ends[:, 0]
        within = some[(some >= place.start) & (some < place.stop)]
        moved = np.array([_moved(model, texts[at], found[at - place.start]) for at in within])
        parts.append((same, gap, rankings.ndcg(lists, targets), moved))
    return _Held(*map(np.concatenate, zip(*parts, strict=True)))


def _moved(model: Model, text: str, together: Floats) -> float:
    [alone] = model.predict([text], cleaned=True).probabilities
    return float(np.abs(alone - together).max() / together.max())


def _some(count: int) -> NDArray[np.int64]:
    """Up to ALONE rows, evenly over all."""
    return np.unique(np.linspace(0, count - 1, ALONE).astype(np.int64))


def _index(name: str, model: Model, texts: list[str]) -> list[Check]:
    """The share of the ten best items of now that the index finds; no check where there is none."""
    answering = model.answering
    assert isinstance(answering, Answering)  # noqa: S101 - what the kind made
    if answering.index is None:
        return []
    told = [history.write(history.read(texts[at])) for at in _some(len(texts))]
    with_index, without = (
        [{one.item for one in asked.listed(model.session, text, rankings.TOP)} for text in told]
        for asked in (answering, replace(answering, index=None))
    )
    shares = [len(found & best) / max(1, len(best)) for found, best in zip(with_index, without, strict=True)]
    return [limit(name, float(np.mean(shares)), FOUND, None, len(shares))]


def _runs(name: str, model: Model) -> Check:
    """Batches of 1, 2 and 7 histories of no event, one, and as many as are read: all run, and all answers are sound."""
    failed = [
        f"{size}x{events}"
        for size in BATCHES
        for events in (0, 1, model.signature.max_length)
        if not _sound(model, [probe(events)] * size)
    ]
    return limit(name, len(failed), None, 0).model_copy(update={"note": ", ".join(failed)})


def _sound(model: Model, texts: list[str]) -> bool:
    try:
        sums = model.predict(texts, cleaned=True).probabilities.sum(axis=1)
    except Exception:  # whatever onnxruntime raises, the shape does not run
        return False
    return len(sums) == len(texts) and bool(np.allclose(sums, 1, atol=1e-3))
