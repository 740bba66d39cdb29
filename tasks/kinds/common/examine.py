"""What a classifier is examined on before it is exported: figures, slices, calibration, behaviour, leakage, labels."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks import behaviour, floors, label_noise, leakage, limits, report, slices, slicing, worst
from tasks.core.files import read_json, read_parquet
from tasks.core.line import Line
from tasks.examination import TABLED, Examination, Plot, Section, as_rows, examples, to_look_at
from tasks.floors import Claim
from tasks.forest import forest
from tasks.kinds.common import scores
from tasks.kinds.common.answers import answered
from tasks.slices import Mask
from tasks.verdict import Check, limit

if TYPE_CHECKING:
    import pandas as pd

    from tasks.evaluate import EvaluateSettings
    from tasks.quality_gate import QualityGateSettings
    from tasks.text import TextSettings

PLOTS = {"confusion.png": "Confusion matrix", "reliability.png": "Reliability on the test rows"}
ELSEWHERE = ("behaviour.", "fairness.", "validation.", "scope.")
"""Figures of metrics.json that are not about the answers to test rows."""


@dataclass(frozen=True)
class Subject:
    """A measured model: what evaluate wrote, and the rows it was measured on."""

    line: Line
    metrics: Mapping[str, Any]
    test: "pd.DataFrame"
    """As tasks.kinds.common.answers has it."""
    validation: "pd.DataFrame"
    ways: Mapping[str, "pd.Series[Any]"]
    """The slice of each test row, by way of slicing."""
    train: "pd.DataFrame"
    behaved: "pd.DataFrame"
    """evaluate/behaviour.parquet."""
    labels: list[str]
    """In the order of the probabilities."""
    text: "TextSettings"

    @property
    def right(self) -> Mask:
        """[test rows], whether the prediction is the label."""
        return _right(self.test)


def _right(rows: "pd.DataFrame") -> Mask:
    return (rows["predicted"] == rows["label"]).to_numpy(dtype=bool)


def subject(line: Line, evaluated: "EvaluateSettings", text: "TextSettings") -> Subject:
    """Read what evaluate wrote, and split/{train, validation, test}.parquet."""
    test = answered(line.file("split", "test.parquet"), line.file("evaluate", "predictions.parquet"))
    validation = answered(line.file("split", "validation.parquet"), line.file("evaluate", "validation.parquet"))
    ways = slicing.ways(test, evaluated.length_unit, evaluated.length_edges)
    return Subject(
        line,
        read_json(line.file("evaluate", "metrics.json")),
        test,
        validation,
        ways,
        train=read_parquet(line.file("split", "train.parquet"), leakage.NEEDED),
        behaved=read_parquet(line.file("evaluate", "behaviour.parquet")),
        labels=read_json(line.file("evaluate", "contract.json"))["labels"],
        text=text,
    )


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
    judged = _judged(of.test, settings)
    for wanted in settings.slices:
        for name, members in slices.members(wanted, of.test, of.ways):
            mask = members if slices.names_source(wanted) else members & judged
            claim = _claim(f"{name}: {wanted.metric}", mask, wanted.metric, wanted.floor, of, settings)
            claims.append(claim)
            places[claim.name] = mask
    for name, found, floor in _searched(of, settings):
        mask = found & judged
        claim = floors.accuracy(f"worst slice {name}: accuracy", of.right[mask], floor)
        if claim.name not in places:
            claims.append(claim)
            places[claim.name] = mask
    checks = floors.judge(claims, settings.level)
    plots = (
        [Plot("Slices of the test rows, their floors marked", report.png(forest(checks)), wide=True)] if claims else []
    )
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
    validation = of.validation[_judged(of.validation, settings)].reset_index(drop=True)
    known, fresh = worst.describe(validation), worst.describe(of.test)
    found = worst.search(known, _right(validation), wanted) if len(validation) else []
    return [(worst.name(one), worst.holds(one, fresh), wanted.floor) for one in found]


def calibrated(of: Subject, settings: "QualityGateSettings") -> Examination:
    """Brier score with its interval against the limit of params, where there is one."""
    if settings.brier_max is None:
        return Examination([])
    judged = _judged(of.test, settings)
    if not judged.any():  # `present` rejects
        return Examination([])
    rows = of.test[judged]
    actual = np.array([of.labels.index(label) for label in rows["label"]], dtype=np.int64)
    brier = scores.brier(actual, _probabilities(rows))
    checks = [floors.ceiling("calibration: Brier score", brier, settings.brier_max)]
    return Examination(checks, _wrong(checks, {checks[0].name: judged}, of, settings))


def _judged(rows: "pd.DataFrame", settings: "QualityGateSettings") -> Mask:
    """The rows that limits without a source of their own are about."""
    everything = np.ones(len(rows), dtype=bool)
    return everything if settings.sources is None else rows["source"].isin(settings.sources).to_numpy(dtype=bool)


def present(of: Subject, settings: "QualityGateSettings") -> Examination:
    """A check per source that the gate is about: without a test row of it every limit would hold."""
    counts = of.test["source"].value_counts()
    rows = [(name, int(counts.get(name, 0))) for name in settings.sources or ()]
    return Examination([limit(f"test rows of {name}", number, 1, None, number) for name, number in rows])


def _probabilities(rows: "pd.DataFrame") -> NDArray[np.float64]:
    return np.array(rows["probabilities"].tolist(), dtype=np.float64)


def behaved(of: Subject, _settings: "QualityGateSettings") -> Examination:
    """No checks of its own, for their limits are plain ones: the tests on the page, and the cases that fail."""
    told = behaviour.overview(of.metrics, of.behaved)
    sections = [Section("Behaviour and fairness", report.render("behaviour.html.j2", behaviour=told))] if told else []
    failing = of.behaved[~of.behaved["passed"]]
    fair = failing["kind"] == "fairness"
    rows = failing.assign(
        check=np.where(fair, "fairness.", "behaviour.") + failing["test"] + np.where(fair, ".flip_rate", ".fail_rate"),
        id=failing["template"] + " / " + failing["case"].astype(str),
        label=failing["expected"],
        confidence=failing["after"],
        why="fails: its text is in evaluate/behaviour.parquet",
    )
    return Examination([], [as_rows(rows)], sections=sections)


def leaked(of: Subject, settings: "QualityGateSettings") -> Examination:
    """Copies of test, validation and listed rows in train."""
    import pandas as pd

    sides = {"train": of.train, "validation": of.validation, "test": of.test}
    checks, pairs = leakage.examine(sides, settings.leakage, of.text)
    if pairs.empty:
        return Examination(checks)
    told = pairs.head(TABLED).assign(of=lambda shown: shown["check"].str.split(".").str[1:-1].str.join(" "))
    judged, learned = (pd.concat(parts).set_index("id") for parts in ([of.test, of.validation], [of.train]))
    told = told.assign(
        text=told["id"].map(judged["text"]).fillna(told["id"]),
        other=told["other_id"].map(learned["text"]),
        other_label=told["other_id"].map(learned["label"]),
        exact=told["check"].str.endswith(".exact"),
    )
    count = "One pair" if len(pairs) == 1 else f"{len(pairs):,} pairs"
    lead = f"{count} of a judging row and a row of train that is its copy, or nearly."
    page = report.render("copies.html.j2", lead=lead, rows=told.to_dict("records"))
    return Examination(checks, [as_rows(pairs)], sections=[Section("Copies in train", page)])


def doubted(of: Subject, settings: "QualityGateSettings") -> Examination:
    """Test rows whose label the model finds implausible."""
    checks, listed = label_noise.examine(of.test, of.labels, settings.label_noise)
    known = of.test.set_index("id").loc[listed["id"], ["text", "confidence"]].reset_index(drop=True)
    rows = listed.assign(predicted=listed["suggested"], confidence=known["confidence"], text=known["text"])
    lead = f"{checks[0].note}. Either may be wrong, the label or the model; no row was dropped."
    sections = [examples("Labels to look at again", lead, rows)] if len(rows) else []
    return Examination(checks, [as_rows(rows)], sections=sections)


def errors(of: Subject, _settings: "QualityGateSettings") -> Examination:
    """No checks: the wrong answers that the model was surest of, for the page."""
    wrong = of.test[~of.right]
    lead = f"{len(wrong):,} of {len(of.test):,} test rows are answered wrongly; these with the highest confidence."
    return Examination([], sections=[examples("Worst examples", lead, wrong)])


EXAMINATIONS: tuple[Callable[[Subject, "QualityGateSettings"], Examination], ...] = (
    present,
    figures,
    sliced,
    calibrated,
    leaked,
    doubted,
    behaved,
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
