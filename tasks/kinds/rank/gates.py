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
from tasks.kinds.rank.serve import Answering, probe
from tasks.kinds.rank.shared import history, rankings, users
from tasks.verdict import Check

if TYPE_CHECKING:
    import pandas as pd

    from tasks.release_gate import ReleaseGateSettings, VariantLimits

Floats = NDArray[np.floating[Any]]

ROUNDING = 1e-6
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
    for rounding, counts as in it; gap_p95: of the probabilities of the items in torch's lists.
    """
    answers = model.predict(truth.texts, cleaned=True)
    labels, rows = model.signature.labels, truth.rows
    numbers = {item: number for number, item in enumerate(labels)}
    torch = np.array([[numbers[item] for item in row] for row in rows["listed"]])
    targets = [np.array([numbers[item] for item in row], dtype=np.int64) for row in rows["targets"]]
    lists = rankings.top(answers.probabilities)
    chances = np.take_along_axis(answers.probabilities, torch, axis=1)
    last = np.take_along_axis(answers.probabilities, lists[:, -1:], axis=1)
    same = (chances >= last - ROUNDING).mean(axis=1)
    gap = np.abs(chances - np.array(rows["chances"].tolist())).max(axis=1)
    gain = float(rankings.ndcg(lists, targets).mean())
    company = _company(model, truth.texts, answers.probabilities)
    name, count = f"{model.variant}.", len(rows)
    found = [
        limit(name + "agreement", float(same.mean()), limits.agreement_min, None, count),
        limit(name + "gap_p95", float(np.quantile(gap, 0.95)), None, limits.gap_p95_max, count),
        limit(name + "ndcg_at_10", gain, limits.accuracy_min, None, count),
        limit(name + "ndcg_at_10_drop", float(rows["ndcg"].mean()) - gain, None, limits.accuracy_drop_max, count),
        *_index(name + "index_recall_at_10", model, truth.texts),
        _runs(name + "shapes_failed", model),
        limit(name + "alone_gap_p95", company, None, limits.alone_gap_p95_max),
    ]
    why = rows.assign(why=[f"{share:.0%} of torch's list" for share in same])[(same < 1) | (gap > limits.gap_p95_max)]
    told_ = [to_look_at(check, why, settings.rows_per_check) for check in found if check.outcome == "reject"]
    return Examination(found, told_)


def _index(name: str, model: Model, texts: list[str]) -> list[Check]:
    """The share of the ten best items of now that the index finds; no check where there is none."""
    answering = model.answering
    assert isinstance(answering, Answering)  # noqa: S101 - what the kind made
    if answering.index is None:
        return []
    places = np.unique(np.linspace(0, len(texts) - 1, ALONE).astype(np.int64))
    told = [history.write(history.read(texts[at])) for at in places]
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


def _company(model: Model, texts: list[str], together: Floats) -> float:
    """95% point of how far the probabilities of a history move when it is asked for alone instead of in a batch."""
    places = np.unique(np.linspace(0, len(texts) - 1, ALONE).astype(np.int64))
    alone = np.concatenate([model.predict([texts[at]], cleaned=True).probabilities for at in places])
    return float(np.quantile(np.abs(alone - together[places]).max(axis=1), 0.95))
