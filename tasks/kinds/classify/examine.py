"""What a classifier is examined on before it is exported: figures, slices, the worst slices, calibration, errors."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks import floors, limits, slices, slicing, worst
from tasks.core.files import read_json
from tasks.core.line import Line
from tasks.examination import Examination, Plot, examples, to_look_at
from tasks.floors import Claim
from tasks.forest import forest
from tasks.kinds.classify import scores
from tasks.kinds.classify.answers import answered
from tasks.report import png
from tasks.slices import Mask
from tasks.verdict import Check

if TYPE_CHECKING:
    import pandas as pd

    from tasks.evaluate import EvaluateSettings
    from tasks.quality_gate import QualityGateSettings

PLOTS = {"confusion.png": "Confusion matrix", "reliability.png": "Reliability on the test rows"}
ELSEWHERE = ("behaviour.", "validation.")
"""Figures of metrics.json that are not about test rows."""


@dataclass(frozen=True)
class Subject:
    """A measured model: what evaluate wrote, and the rows it was measured on."""

    line: Line
    metrics: Mapping[str, Any]
    test: "pd.DataFrame"
    """As tasks.kinds.classify.answers has it."""
    validation: "pd.DataFrame"
    ways: Mapping[str, "pd.Series[Any]"]
    """The slice of each test row, by way of slicing."""

    @property
    def right(self) -> Mask:
        """[test rows], whether the prediction is the label."""
        return _right(self.test)


def _right(rows: "pd.DataFrame") -> Mask:
    return (rows["predicted"] == rows["label"]).to_numpy(dtype=bool)


def subject(line: Line, evaluated: "EvaluateSettings") -> Subject:
    """Read evaluate/{metrics.json, predictions.parquet, validation.parquet} and split/{test, validation}.parquet."""
    test = answered(line.file("split", "test.parquet"), line.file("evaluate", "predictions.parquet"))
    validation = answered(line.file("split", "validation.parquet"), line.file("evaluate", "validation.parquet"))
    ways = slicing.ways(test, evaluated.length_unit, evaluated.length_edges)
    return Subject(line, read_json(line.file("evaluate", "metrics.json")), test, validation, ways)


def figures(of: Subject, settings: "QualityGateSettings") -> Examination:
    """The plain checks: figures of metrics.json within their limits; with evaluate's plots."""
    metrics = limits.flatten(of.metrics)
    checks = [check for wanted in settings.checks for check in limits.judge(wanted, metrics)]
    places = {check.name: _behind(check, of) for check in checks}
    plots = [Plot(caption, of.line.file("evaluate", name).read_bytes()) for name, caption in PLOTS.items()]
    return Examination(checks, _wrong(checks, places, of, settings), plots)


def _behind(check: Check, of: Subject) -> Mask:
    """The test rows that a figure is about: those of a label or slice where its path names one, else all."""
    every = np.full(len(of.test), check.value is not None and not check.name.startswith(ELSEWHERE))
    if found := re.fullmatch(r"per_class\.(.*)\.(precision|recall|f1)", check.name):
        label, figure = found.groups()
        actual, predicted = (every & (of.test[column] == label).to_numpy() for column in ("label", "predicted"))
        return {"recall": actual, "precision": predicted, "f1": actual | predicted}[figure]
    if found := re.fullmatch(r"slices\.(\w+)\.(.*)\.\w+", check.name):
        way, name = found.groups()
        return every & (of.ways[way] == name).to_numpy(dtype=bool) if way in of.ways else every
    return every


def sliced(of: Subject, settings: "QualityGateSettings") -> Examination:
    """Named slices and the worst slices that validation shows, tested together against their floors."""
    claims, places = [], {}
    for wanted in settings.slices:
        for name, mask in slices.members(wanted, of.test, of.ways):
            claim = _claim(f"{name}: {wanted.metric}", mask, wanted.metric, wanted.floor, of, settings)
            claims.append(claim)
            places[claim.name] = mask
    for name, mask, floor in _searched(of, settings):
        claim = floors.accuracy(f"worst slice {name}: accuracy", of.right[mask], floor)
        if claim.name not in places:
            claims.append(claim)
            places[claim.name] = mask
    checks = floors.judge(claims, settings.level)
    plots = [Plot("Slices of the test rows, their floors marked", png(forest(checks)), wide=True)] if claims else []
    return Examination(checks, _wrong(checks, places, of, settings), plots)


def _claim(name: str, mask: Mask, metric: str, floor: float, of: Subject, settings: "QualityGateSettings") -> Claim:
    right = of.right[mask]
    if metric == "accuracy" or not mask.any():
        return floors.accuracy(name, right, floor)
    counts = _confusion(of.test[mask])
    draws = scores.f1_draws(counts, settings.draws, settings.seed)
    return floors.drawn(name, scores.macro(counts)["f1"], draws, right, floor)


def _confusion(rows: "pd.DataFrame") -> scores.Indices:
    import pandas as pd

    labels = pd.Index(sorted({*rows["label"], *rows["predicted"]}))
    actual, predicted = (labels.get_indexer(pd.Index(rows[name])) for name in ("label", "predicted"))
    return scores.confusion(actual.astype(np.int64), predicted.astype(np.int64), len(labels))


def _searched(of: Subject, settings: "QualityGateSettings") -> "list[tuple[str, Mask, float]]":
    """Name, test rows and floor of each slice that is worst on validation."""
    wanted = settings.worst_slices
    if wanted is None:
        return []
    known, fresh = worst.describe(of.validation), worst.describe(of.test)
    found = worst.search(known, _right(of.validation), wanted)
    return [(worst.name(one), worst.holds(one, fresh), wanted.floor) for one in found]


def calibrated(of: Subject, settings: "QualityGateSettings") -> Examination:
    """Brier score with its interval against the limit of params, where there is one."""
    if settings.brier_max is None:
        return Examination([])
    labels = read_json(of.line.file("evaluate", "contract.json"))["labels"]
    actual = of.test["label"].map({label: n for n, label in enumerate(labels)}).to_numpy(dtype=np.int64)
    brier = scores.brier(actual, _probabilities(of.test))
    checks = [floors.ceiling("calibration: Brier score", brier, settings.brier_max)]
    return Examination(checks, _wrong(checks, {checks[0].name: np.ones(len(actual), dtype=bool)}, of, settings))


def _probabilities(rows: "pd.DataFrame") -> NDArray[np.float64]:
    return np.array(rows["probabilities"].tolist(), dtype=np.float64)


def errors(of: Subject, _settings: "QualityGateSettings") -> Examination:
    """No checks: the wrong answers that the model was surest of, for the page."""
    wrong = of.test[~of.right]
    lead = f"{len(wrong):,} of {len(of.test):,} test rows are answered wrongly; these with the highest confidence."
    return Examination([], sections=[examples("Worst examples", lead, wrong)])


EXAMINATIONS: tuple[Callable[[Subject, "QualityGateSettings"], Examination], ...] = (
    figures,
    sliced,
    calibrated,
    errors,
)
"""In the order in which they stand on the page."""


def _wrong(
    checks: list[Check], places: Mapping[str, Mask], of: Subject, settings: "QualityGateSettings"
) -> "list[pd.DataFrame]":
    """For each check that rejects, the wrong answers among the rows it is about."""
    rows = of.test.assign(why="wrong answer")
    return [
        to_look_at(check, rows[places[check.name] & ~of.right], settings.rows_per_check)
        for check in checks
        if check.outcome == "reject"
    ]
