"""What an export is held to: the contract of its torch model, and each ONNX variant beside that model."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks import calibration, tokens
from tasks.core.errors import DataError
from tasks.core.line import Line
from tasks.examination import Examination, Section, examples, to_look_at
from tasks.inference import Model, Signature, read_tokenizer
from tasks.kinds.common.answers import answered
from tasks.verdict import Check
from tasks.verdict import limit as unrounded

if TYPE_CHECKING:
    import pandas as pd

    from tasks.release_gate import ReleaseGateSettings, VariantLimits

Floats = NDArray[np.floating[Any]]
Inputs = dict[str, NDArray[np.int64]]
Mask = NDArray[np.bool_]
Found = tuple[Check, Mask, Any]
"""A check, the rows that it is about, and why in one word or per row."""

BATCHES = (1, 2, 7)
SHORT = (2, 16)
ALONE = 200  # texts that are asked for alone as well as in company


@dataclass(frozen=True)
class Measured:
    """The test rows with the torch model's answers: the measure of every variant."""

    rows: "pd.DataFrame"
    """As tasks.kinds.common.answers has it; `predicted` is the torch model's."""

    @property
    def texts(self) -> list[str]:
        """[rows]"""
        return list(self.rows["text"])

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """[rows, classes], calibrated."""
        return np.array(self.rows["probabilities"].tolist(), dtype=np.float64)


def measured(line: Line, signature: Signature) -> Measured:
    """Read split/test.parquet and evaluate/predictions.parquet. Raises DataError where they do not go together."""
    test = line.file("split", "test.parquet")
    rows = answered(test, line.file("evaluate", "predictions.parquet"))
    if not rows["label"].isin(signature.labels).all():
        known = ", ".join(signature.labels[:20])
        raise DataError(f"{test} holds labels that the model does not know; it knows {known}. Train again.")
    return Measured(rows)


def limit(name: str, value: float, low: float | None, high: float | None, rows: int | None = None) -> Check:
    """A check whose value is rounded: its last digits differ between processors and mean nothing."""
    return unrounded(name, round(value, 6), low, high, rows)


def contract(
    signature: Signature, tokenizer: Path, kept: Mapping[str, Any], truth: Measured, settings: "ReleaseGateSettings"
) -> Examination:
    """Checks of what all variants share, against evaluate/contract.json: it sees what comparing numbers would miss.

    `labels`: names of outputs that evaluate used in another place; `tokenizer`: texts among the first of the test rows
    whose token ids are not those that evaluate saw.
    """
    moved = _moved(signature.labels, kept["labels"])
    names = limit("labels", len(moved), None, 0).model_copy(
        update={"note": f"evaluate used {', '.join(kept['labels'][:20])}" if moved else ""}
    )
    other = _read_otherwise(tokenizer, signature.max_length, kept["tokens"], truth.texts)
    longest = signature.max_length == kept["max_length"]
    ids = limit("tokenizer", int(other.sum()), None, 0, len(kept["tokens"]))
    if not longest:
        note = f"evaluate cut texts at {kept['max_length']} tokens, the export cuts them at {signature.max_length}"
        ids = ids.model_copy(update={"outcome": "reject", "note": note})
    places = [
        (names, truth.rows["predicted"].isin(moved).to_numpy(), "the export gives this answer another name"),
        (ids, other, "other token ids than evaluate saw"),
    ]
    return Examination([names, ids], _rejected(truth.rows, places, settings))


def _moved(names: Sequence[str], known: Sequence[str]) -> list[str]:
    """Labels that are not in the place in which they were known."""
    placed = set(enumerate(names)) & set(enumerate(known))
    return sorted({*names, *known} - {label for _, label in placed})


def _read_otherwise(tokenizer: Path, longest: int, known: Sequence[str], texts: Sequence[str]) -> Mask:
    """[rows], whether a text among the first has other token ids than evaluate saw."""
    encoded = read_tokenizer(tokenizer, longest).encode_batch(list(texts[: len(known)]))
    found = tokens.digests(encoding.ids for encoding in encoded)
    other = np.zeros(len(texts), dtype=bool)
    other[: len(found)] = [a != b for a, b in zip(found, known, strict=True)]
    return other


def checks(
    model: Model,
    answers: Any,
    truth: Measured,
    limits: "VariantLimits",
    settings: "ReleaseGateSettings",
    sound: Callable[[Model, Inputs], bool],
    further: Sequence[Found] = (),
) -> Examination:
    """Every check of one variant, named `<variant>.<check>`, and the rows where its label is not torch's.

    `answers` are those of the variant to the texts of `truth`, `sound` says whether the graph answers a batch as it
    should, and `further` are checks of the kind's own.
    """
    probabilities = answers.probabilities.astype(np.float64)
    rows = truth.rows.assign(torch=truth.rows["predicted"], predicted=answers.labels, confidence=answers.confidence)
    torch, label = rows["torch"].to_numpy(), rows["label"].to_numpy()
    same, right = answers.labels == torch, answers.labels == label
    accuracy = float(right.mean())
    drop = float((torch == label).mean()) - accuracy
    gap = np.abs(probabilities - truth.probabilities).max(axis=1)
    company = _company(model, truth.texts, probabilities)
    name, count, wrong = f"{model.variant}.", len(rows), "wrong answer"
    found: list[Found] = [
        (limit(name + "agreement", float(same.mean()), limits.agreement_min, None, count),
            ~same, "torch answers " + rows["torch"]),
        (limit(name + "gap_p95", float(np.quantile(gap, 0.95)), None, limits.gap_p95_max, count),
            gap > limits.gap_p95_max, apart("probabilities", gap, "torch's")),
        *further,
        (limit(name + "accuracy", accuracy, limits.accuracy_min, None, count), ~right, wrong),
        (limit(name + "accuracy_drop", drop, None, limits.accuracy_drop_max, count), ~right, wrong),
        (_calibrated(name + "calibration", probabilities.max(axis=1), right, settings), ~right, wrong),
        (_runs(name + "shapes_failed", model, sound), np.zeros(count, dtype=bool), ""),
        (_alone(name + "alone_gap_p95", company, limits.alone_gap_p95_max),
            company > limits.alone_gap_p95_max, apart("probabilities", company, "those in company")),
    ]  # fmt: skip
    return Examination(
        [check for check, _, _ in found], _rejected(rows, found, settings), sections=[_others(model.variant, rows)]
    )


def apart(what: str, gap: Floats, others: str) -> NDArray[np.object_]:
    """[rows], why a row is to be looked at: so far its figures are from others."""
    return np.array([f"{what} are up to {value:.3f} from {others}" for value in gap], dtype=object)


def _rejected(rows: "pd.DataFrame", found: Sequence[Found], settings: "ReleaseGateSettings") -> "list[pd.DataFrame]":
    """For each check that rejects, its rows."""
    return [
        to_look_at(check, rows.assign(why=why)[mask], settings.rows_per_check)
        for check, mask, why in found
        if check.outcome == "reject"
    ]


def _others(variant: str, rows: "pd.DataFrame") -> Section:
    """The rows where a variant's label is not torch's."""
    other = rows[rows["predicted"] != rows["torch"]]
    lead = f"{variant} gives {len(other):,} of {len(rows):,} test rows another label than torch; the surest of them."
    if other.empty:
        lead = f"{variant} gives every test row torch's label."
    return examples(f"{variant} beside torch", lead, other)


def _calibrated(name: str, confidence: Floats, right: NDArray[np.bool_], settings: "ReleaseGateSettings") -> Check:
    """Debiased calibration error, at most what a perfectly calibrated model would show, plus the slack of params."""
    judged = calibration.judge(confidence, right, settings.calibration_bins, settings.draws, settings.seed)
    note = f"a perfectly calibrated model stays below {judged.band_high:.4f} in 95 of 100 draws"
    highest = round(judged.band_high + settings.calibration_slack, 6)
    check = limit(name, judged.ece_debiased, None, highest, len(right))
    return check.model_copy(update={"note": note})


def _runs(name: str, model: Model, sound: Callable[[Model, Inputs], bool]) -> Check:
    """Batches of 1, 2 and 7 texts at 2, 16 and the greatest number of tokens: all run, and all answers are sound."""
    failed = [place for place, inputs in _shapes(model) if not _answers(model, inputs, sound)]
    return limit(name, len(failed), None, 0).model_copy(update={"note": ", ".join(failed)})


def _shapes(model: Model) -> Iterator[tuple[str, Inputs]]:
    longest = model.signature.max_length
    for rows in BATCHES:
        for length in sorted({*(n for n in SHORT if n < longest), longest}):
            shape = (rows, length)
            yield f"{rows}x{length}", {name: np.ones(shape, dtype=np.int64) for name in model.signature.inputs}


def _answers(model: Model, inputs: Inputs, sound: Callable[[Model, Inputs], bool]) -> bool:
    try:
        return sound(model, inputs)
    except Exception:  # whatever onnxruntime raises, the shape does not run
        return False


def _company(model: Model, texts: Sequence[str], together: Floats) -> Floats:
    """[rows], how far a text's probabilities move when it is asked for alone; NaN for texts that are not asked."""
    places = np.unique(np.linspace(0, len(texts) - 1, ALONE).astype(np.int64))
    alone = np.concatenate([model.predict([texts[n]], cleaned=True).probabilities for n in places])
    gap = np.full(len(texts), np.nan)
    gap[places] = np.abs(alone - together[places]).max(axis=1)
    return gap


def _alone(name: str, company: Floats, highest: float) -> Check:
    """95% point of how far a text's probabilities move when it is asked for alone instead of in a batch."""
    asked = company[~np.isnan(company)]
    return limit(name, float(np.quantile(asked, 0.95)), None, highest, len(asked))
