"""Evaluation: calibration fitted on validation; figures, slices, behaviour and plots of the test."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tasks import calibration, cases, slicing, tokens
from tasks.behaviour import Suite, load
from tasks.core.errors import DataError
from tasks.core.files import atomic, read_parquet, write_json, write_parquet
from tasks.core.line import Line
from tasks.kinds.common import behaviour, plots, scope, scores
from tasks.kinds.common.scores import Floats, Indices
from tasks.report import png

if TYPE_CHECKING:
    import pandas as pd

    from tasks.evaluate import EvaluateSettings

COLUMNS = ["id", "text", "source", "split_key", "label", "agreement", "ambiguous"]
SCHEMA = 1  # of contract.json


class Checkpoint(Protocol):
    """What evaluation asks of a trained model."""

    max_length: int
    """Tokens at which texts are cut."""

    @property
    def labels(self) -> list[str]:
        """Label names by class index."""
        ...

    def logits(self, texts: Sequence[str], batch_size: int, what: str) -> NDArray[np.float32]:
        """[rows, classes] in the order of `texts`."""
        ...

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text as the model reads it."""
        ...


Figures = Callable[[Indices, NDArray[np.float32]], dict[str, Any]]
"""Further figures of metrics.json, out of the test rows' actual labels and logits."""


def evaluate(
    line: Line, settings: "EvaluateSettings", out: Path, model: Checkpoint, further: Figures | None = None
) -> None:
    """Read split/{validation,test}.parquet and behaviour.yaml, ask the model, write what evaluate owes."""
    validation, test = (_rows(line.file("split", f"{side}.parquet")) for side in ("validation", "test"))
    labels = model.labels
    suite = load(line.folder / "behaviour.yaml", labels)
    known = _indices(validation, labels, "validation")
    actual = _indices(test, labels, "test")
    seen = model.logits(validation["text"].tolist(), settings.batch_size, "validation")
    logits = model.logits(test["text"].tolist(), settings.batch_size, "test")

    fitted, losses = calibration.fit(seen, known, settings.calibration, settings.seed)
    sure = calibration.apply(fitted, seen)
    behaved = _behaviour(suite, test, calibration.apply(fitted, logits), model, fitted, settings)
    more = {"validation": _validation(known, sure), **behaviour.summary(behaved)}
    more |= further(actual, logits) if further else {}
    bound: dict[str, Any] = {}
    if settings.scope:
        ask = partial(model.logits, batch_size=settings.batch_size, what="out of scope")
        bound["scope"], more["scope"] = scope.examine(line, settings.scope, ask, fitted, seen, logits, actual)
    report(out, test, logits, labels, fitted, losses, more, settings)
    write_json(out / "calibration.json", fitted | bound)
    behaviour.write(out / "behaviour.parquet", behaved)
    _write_predictions(out / "validation.parquet", validation, seen, sure, labels)
    _write_contract(out / "contract.json", model, test["text"].tolist()[: tokens.TEXTS])


def report(
    out: Path,
    test: "pd.DataFrame",
    logits: NDArray[np.float32],
    labels: list[str],
    fitted: dict[str, Any],
    losses: dict[str, float],
    more: dict[str, Any],
    settings: "EvaluateSettings",
) -> None:
    """Write what the test rows say: metrics.json, predictions.parquet, and the plots with their tables.

    `logits` [rows, classes] are answers to `test`, `fitted` is their calibration with the log losses that chose it;
    `more` are figures of metrics.json that are not made here.
    """
    actual = _indices(test, labels, "test")
    probabilities = calibration.apply(fitted, logits)
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    judged = calibration.judge(
        confidence, predicted == actual, settings.calibration_bins, settings.draws, settings.seed
    )
    counts = scores.confusion(actual, predicted, len(labels))
    metrics = headline(actual, probabilities, counts, settings)
    metrics["per_class"] = by_class(counts, labels)
    metrics["calibration"] = _calibration(fitted, losses, judged, actual, probabilities)
    metrics["slices"] = slices(test, actual, predicted, len(labels), settings)
    write_json(out / "metrics.json", plain(metrics | more))
    _write_predictions(out / "predictions.parquet", test, logits, probabilities, labels)
    write_plots(out, counts, labels, judged, confidence)
    write_tables(out, test["label"], np.array(labels, dtype=object)[predicted], judged)


def _rows(path: Path) -> "pd.DataFrame":
    frame = read_parquet(path, COLUMNS)
    if frame.empty:
        raise DataError(f"{path} has no rows, so nothing can be measured. Look at the split stage's report.")
    return frame


def _indices(frame: "pd.DataFrame", labels: list[str], side: str) -> Indices:
    """Class indices of a table's labels. Raises DataError on a label that the checkpoint does not know."""
    import pandas as pd

    indices = pd.Index(labels).get_indexer(pd.Index(frame["label"]))
    if (indices < 0).any():
        strange = sorted(set(frame["label"][indices < 0].fillna("none at all").astype(str)))
        raise DataError(
            f"{side}.parquet holds labels the checkpoint does not know: {', '.join(strange[:5])}. "
            f"Known are {', '.join(labels[:20])}. Run train again, so that it sees today's labels."
        )
    return indices.astype(np.int64)


def headline(actual: Indices, probabilities: Floats, counts: Indices, settings: "EvaluateSettings") -> dict[str, Any]:
    """The figures at the top level of metrics.json."""
    rows, hits = len(actual), int(np.trace(counts))
    low, high = scores.wilson(hits, rows)
    f1_low, f1_high = scores.bootstrap_f1(counts, settings.draws, settings.seed)
    return {
        "rows": rows,
        "accuracy": hits / rows,
        "accuracy_low": low,
        "accuracy_high": high,
        **{f"{name}_macro": score for name, score in scores.macro(counts).items()},
        "f1_macro_low": f1_low,
        "f1_macro_high": f1_high,
        "roc_auc": scores.roc_auc(actual, probabilities),
        "log_loss": calibration.row_losses(probabilities, actual).mean(),
    }


def by_class(counts: Indices, labels: list[str]) -> dict[str, dict[str, Any]]:
    """Precision, recall, F1 and test rows of each label; null for a label that neither occurs nor is predicted."""
    table = scores.per_class(counts)
    rows = counts.sum(axis=1)
    return {
        label: {**{name: score[n] for name, score in table.items()}, "rows": rows[n]} for n, label in enumerate(labels)
    }


def slices(
    test: "pd.DataFrame", actual: Indices, predicted: Indices, classes: int, settings: "EvaluateSettings"
) -> dict[str, dict[str, Any]]:
    """Scores by source, text length, agreement of the annotators (thirds) and ambiguity.

    A way of slicing for which no row has a value is left out, and so is a slice without rows.
    """
    names = slicing.ways(test, settings.length_unit, settings.length_edges)
    groups = {
        by: {str(name): scores.group(actual[at], predicted[at], classes) for name, at in _places(column).items()}
        for by, column in names.items()
    }
    return {by: group for by, group in groups.items() if group}


def _places(column: "pd.Series[Any]") -> dict[Any, Indices]:
    return {name: np.asarray(rows) for name, rows in column.groupby(column.to_numpy()).indices.items()}


def _calibration(
    fitted: dict[str, Any],
    losses: dict[str, float],
    judged: calibration.Judgement,
    actual: Indices,
    probabilities: Floats,
) -> dict[str, Any]:
    brier, low, high = scores.mean_interval(scores.brier(actual, probabilities))
    return {
        "method": fitted["method"],
        "parameters": {name: value for name, value in fitted.items() if name not in ("method", "knots")},
        "log_loss_cross_validated": losses,
        "ece": judged.ece,
        "ece_debiased": judged.ece_debiased,
        "band_high": judged.band_high,
        "inside_band": judged.inside_band,
        "brier": brier,
        "brier_low": low,
        "brier_high": high,
        "mean_confidence": probabilities.max(axis=1).mean(),
    }


def _validation(actual: Indices, probabilities: Floats) -> dict[str, Any]:
    predicted = probabilities.argmax(axis=1)
    counts = scores.confusion(actual, predicted, probabilities.shape[1])
    return {
        "rows": len(actual),
        "accuracy": (actual == predicted).mean(),
        "f1_macro": scores.macro(counts)["f1"],
        "log_loss": calibration.row_losses(probabilities, actual).mean(),
    }


def _behaviour(
    suite: Suite,
    test: "pd.DataFrame",
    probabilities: Floats,
    model: Checkpoint,
    fitted: dict[str, Any],
    settings: "EvaluateSettings",
) -> "pd.DataFrame":
    drawn = cases.expand(suite, dict(zip(test["id"], test["text"], strict=True)), settings.cases, settings.seed)
    known = dict(zip(test["text"], probabilities, strict=True))

    def score(texts: list[str]) -> Floats:
        return calibration.apply(fitted, model.logits(texts, settings.batch_size, "behaviour"))

    return behaviour.judge(suite, drawn, model.labels, known, score)


def plain(content: Any) -> Any:
    """Numbers as JSON has them: six decimals, null for NaN; mappings and lists are walked through."""
    if isinstance(content, dict):
        return {key: plain(value) for key, value in content.items()}
    if isinstance(content, list):
        return [plain(value) for value in content]
    if isinstance(content, np.generic):
        content = content.item()
    if isinstance(content, float):
        return round(content, 6) if math.isfinite(content) else None
    return content


def _write_predictions(path: Path, rows: "pd.DataFrame", logits: Any, probabilities: Floats, labels: list[str]) -> None:
    import pyarrow as pa

    text, number, numbers = pa.string(), pa.float32(), pa.list_(pa.float32())
    frame = rows[["id", "split_key", "source", "label"]].assign(
        predicted=np.array(labels, dtype=object)[probabilities.argmax(axis=1)],
        confidence=probabilities.max(axis=1),
        logits=list(logits),
        probabilities=list(probabilities),
    )
    types = [text, text, text, text, text, number, numbers, numbers]
    write_parquet(path, frame, pa.schema(list(zip(frame.columns, types, strict=True))))


def _write_contract(path: Path, model: Checkpoint, texts: list[str]) -> None:
    """What an exported model must keep: the order of the labels, and how texts become token ids."""
    content = {
        "schema_version": SCHEMA,
        "labels": model.labels,
        "max_length": model.max_length,
        "tokens": tokens.digests(model.token_ids(texts)),
    }
    write_json(path, content)


def write_plots(
    out: Path, counts: Indices, labels: list[str], judged: calibration.Judgement, confidence: Floats
) -> None:
    """confusion.png of rows [actual, predicted] by name, and reliability.png."""
    for name, figure in (
        ("confusion", plots.confusion(counts, labels)),
        ("reliability", plots.reliability(judged, confidence)),
    ):
        with atomic(out / f"{name}.png") as temporary:
            temporary.write_bytes(png(figure))


def write_tables(out: Path, actual: "pd.Series[str]", predicted: Any, judged: calibration.Judgement) -> None:
    """The tables behind the DVC plots."""
    import pandas as pd

    tables = {
        "confusion": pd.DataFrame({"actual": actual.to_numpy(), "predicted": predicted}),
        "reliability": pd.DataFrame(
            {name: getattr(judged, name).round(6) for name in ("confidence", "accuracy", "low", "high")}
        ).assign(rows=judged.rows.astype(np.int64)),
    }
    for name, table in tables.items():
        with atomic(out / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False, lineterminator="\n")
