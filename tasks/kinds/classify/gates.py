"""What a classifier's ONNX variant is held to, beside the torch model that it was made from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks import calibration
from tasks.core.errors import DataError
from tasks.core.files import read_parquet
from tasks.inference import Model
from tasks.verdict import Check
from tasks.verdict import limit as unrounded

if TYPE_CHECKING:
    from tasks.release_gate import ReleaseGateSettings, VariantLimits

Floats = NDArray[np.floating[Any]]

BATCHES = (1, 2, 7)
SHORT = (2, 16)
ALONE = 200  # texts that are asked for alone as well as in company


@dataclass(frozen=True)
class Measured:
    """The test rows with the torch model's answers: the measure of every variant."""

    texts: list[str]
    actual: NDArray[np.int64]
    """[rows], class indices."""
    probabilities: NDArray[np.float64]
    """[rows, classes], calibrated."""

    @property
    def predicted(self) -> NDArray[np.int64]:
        """[rows], the torch model's class indices."""
        best: NDArray[np.int64] = self.probabilities.argmax(axis=1)
        return best


def measured(test: Path, predictions: Path, labels: Sequence[str]) -> Measured:
    """Read split/test.parquet and evaluate/predictions.parquet. Raises DataError where they do not go together."""
    rows, known = read_parquet(test, ["id", "text", "label"]), read_parquet(predictions)
    if rows.empty or not np.array_equal(rows["id"], known["id"]):
        raise DataError(f"{predictions} does not hold the rows of {test} in their order. Run evaluate again.")
    place = {label: n for n, label in enumerate(labels)}
    actual = rows["label"].map(place).to_numpy(dtype=np.float64, na_value=np.nan)
    if np.isnan(actual).any():
        raise DataError(f"{test} holds labels that the model does not know; it knows {', '.join(labels)}. Train again.")
    probabilities = np.array(known["probabilities"].tolist(), dtype=np.float64)
    return Measured(rows["text"].tolist(), actual.astype(np.int64), probabilities)


def limit(name: str, value: float, low: float | None, high: float | None, rows: int | None = None) -> Check:
    """A check whose value is rounded: its last digits differ between processors and mean nothing."""
    return unrounded(name, round(value, 6), low, high, rows)


def checks(model: Model, truth: Measured, limits: "VariantLimits", settings: "ReleaseGateSettings") -> list[Check]:
    """Every check of one variant, named `<variant>.<check>`."""
    answers = model.predict(truth.texts, cleaned=True).probabilities.astype(np.float64)
    predicted, rows = answers.argmax(axis=1), len(truth.texts)
    right = predicted == truth.actual
    accuracy, torch_accuracy = float(right.mean()), float((truth.predicted == truth.actual).mean())
    gap = np.abs(answers - truth.probabilities).max(axis=1)
    name = f"{model.variant}."
    return [
        limit(name + "agreement", float((predicted == truth.predicted).mean()), limits.agreement_min, None, rows),
        limit(name + "gap_p95", float(np.quantile(gap, 0.95)), None, limits.gap_p95_max, rows),
        limit(name + "accuracy", accuracy, limits.accuracy_min, None, rows),
        limit(name + "accuracy_drop", torch_accuracy - accuracy, None, limits.accuracy_drop_max, rows),
        _calibrated(name + "calibration", answers.max(axis=1), right, settings),
        _runs(name + "shapes_failed", model),
        _alone(name + "alone_gap_p95", model, truth.texts, answers, limits.alone_gap_p95_max),
    ]


def _calibrated(name: str, confidence: Floats, right: NDArray[np.bool_], settings: "ReleaseGateSettings") -> Check:
    """Debiased calibration error, at most what a perfectly calibrated model would show, plus the slack of params."""
    judged = calibration.judge(confidence, right, settings.calibration_bins, settings.draws, settings.seed)
    note = f"a perfectly calibrated model stays below {judged.band_high:.4f} in 95 of 100 draws"
    highest = round(judged.band_high + settings.calibration_slack, 6)
    check = limit(name, judged.ece_debiased, None, highest, len(right))
    return check.model_copy(update={"note": note})


def _runs(name: str, model: Model) -> Check:
    """Batches of 1, 2 and 7 texts at 2, 16 and the greatest number of tokens: all run, and all sum to one."""
    failed = [place for place, inputs in _shapes(model) if not _sums_to_one(model, inputs)]
    return limit(name, len(failed), None, 0).model_copy(update={"note": ", ".join(failed)})


def _shapes(model: Model) -> Iterator[tuple[str, dict[str, NDArray[np.int64]]]]:
    longest = model.signature.max_length
    for rows in BATCHES:
        for length in sorted({*(n for n in SHORT if n < longest), longest}):
            shape = (rows, length)
            yield f"{rows}x{length}", {name: np.ones(shape, dtype=np.int64) for name in model.signature.inputs}


def _sums_to_one(model: Model, inputs: dict[str, NDArray[np.int64]]) -> bool:
    try:
        answer = model.session.run(["probabilities"], inputs)[0]
    except Exception:  # whatever onnxruntime raises, the shape does not run
        return False
    expected = (len(inputs["input_ids"]), len(model.signature.labels))
    return answer.shape == expected and bool(np.allclose(answer.sum(axis=1), 1, atol=1e-3))


def _alone(name: str, model: Model, texts: Sequence[str], together: Floats, highest: float) -> Check:
    """95% point of how far a text's probabilities move when it is asked for alone instead of in a batch."""
    places = np.unique(np.linspace(0, len(texts) - 1, ALONE).astype(np.int64))
    alone = np.concatenate([model.predict([texts[n]], cleaned=True).probabilities for n in places])
    gap = np.abs(alone - together[places]).max(axis=1)
    return limit(name, float(np.quantile(gap, 0.95)), None, highest, len(places))
