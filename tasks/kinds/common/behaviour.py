"""Behaviour tests of a classifier: which cases fail by predicted label and calibrated probability, and how many."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.behaviour import Direction, Invariance, Minimum, Suite, Test
from tasks.cases import Case
from tasks.core.files import write_parquet
from tasks.kinds.common.scores import Floats, wilson

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = [
    "test", "kind", "template", "case", "text", "original", "expected", "predicted", "before", "after", "passed",
]  # fmt: skip


def judge(
    suite: Suite,
    cases: Sequence[Case],
    labels: Sequence[str],
    known: Mapping[str, Floats],
    score: Callable[[list[str]], Floats],
) -> "pd.DataFrame":
    """A row per changed or filled text, with COLUMNS.

    `known` has the calibrated probabilities of texts that were scored before; `score` gives those of others [texts,
    classes], and no text is scored twice.

    `before` and `after` are probabilities of the label that is looked at, without and with the change: that of
    `expected`, which is the label of the original where the label must stay.
    """
    import pandas as pd

    tests = {test.name: test for test in suite.tests}
    texts = dict.fromkeys(text for case in cases for text in (case.original, case.text) if text is not None)
    new = [text for text in texts if text not in known]
    found = {**known, **(dict(zip(new, score(new), strict=True)) if new else {})}
    rows = [_judged(tests[case.test], case, labels, found) for case in cases]
    return pd.DataFrame(rows, columns=COLUMNS)


def _judged(test: Test, case: Case, labels: Sequence[str], found: Mapping[str, Floats]) -> tuple[Any, ...]:
    now = found[case.text]
    past = now if case.original is None else found[case.original]
    label = _looked_at(test, labels, past)
    predicted, after = int(now.argmax()), float(now[label])
    before = math.nan if case.original is None else float(past[label])
    expected = f"{labels[label]} {test.moves}" if isinstance(test, Direction) else labels[label]
    passed = _passes(test, predicted == label, after - before)
    return (
        case.test, test.kind, case.template, case.number, case.text, case.original, expected, labels[predicted],
        before, after, passed,
    )  # fmt: skip


def _looked_at(test: Test, labels: Sequence[str], past: Floats) -> int:
    if isinstance(test, Minimum):
        return labels.index(test.expect)
    return labels.index(test.label) if isinstance(test, Direction) else int(past.argmax())


def _passes(test: Test, as_expected: bool, moved: float) -> bool:
    if isinstance(test, Direction):
        return (moved if test.moves == "up" else -moved) >= -test.tolerance
    return as_expected or (isinstance(test, Invariance) and abs(moved) <= test.tolerance)


def summary(frame: "pd.DataFrame") -> dict[str, Any]:
    """`behaviour` and `fairness` of metrics.json: cases and failures with 95% Wilson intervals; {} without cases."""
    if frame.empty:
        return {}
    by_case = frame.groupby(["kind", "test", "case"], sort=False)["passed"].all().rename("passed").reset_index()
    fair = by_case["kind"] == "fairness"
    behaviour: dict[str, Any] = {
        str(name): {"kind": rows["kind"].iloc[0], **_counted(rows["passed"], "failed", "fail_rate")}
        for name, rows in by_case[~fair].groupby("test")
    }
    if behaviour:
        behaviour["kinds"] = {
            str(kind): _counted(rows["passed"], "failed", "fail_rate") for kind, rows in by_case[~fair].groupby("kind")
        }
    fairness = {
        str(name): {**_counted(rows["passed"], "flipped", "flip_rate"), "gap_mean": _gap(frame[frame["test"] == name])}
        for name, rows in by_case[fair].groupby("test")
    }
    return {name: part for name, part in (("behaviour", behaviour), ("fairness", fairness)) if part}


def _counted(passed: "pd.Series[bool]", failed: str, rate: str) -> dict[str, Any]:
    cases, count = len(passed), int((~passed).sum())
    low, high = wilson(count, cases)
    return {
        "cases": cases, "rows": cases, failed: count, rate: count / cases, f"{rate}_low": low, f"{rate}_high": high,
    }  # fmt: skip


def _gap(frame: "pd.DataFrame") -> float:
    """How far the terms of a group draw one sentence's probability apart: greatest less smallest, mean of sentences."""
    by_case = frame.groupby("case")
    highest = by_case[["before", "after"]].max().max(axis=1)
    return float((highest - by_case[["before", "after"]].min().min(axis=1)).mean())


def none() -> "pd.DataFrame":
    """The table of a line without tests."""
    import pandas as pd

    return pd.DataFrame(columns=COLUMNS)


def write(path: Path, frame: "pd.DataFrame") -> None:
    """Write behaviour.parquet; probabilities as float32, null without a change."""
    import pyarrow as pa

    kinds = {"case": pa.int32(), "before": pa.float32(), "after": pa.float32(), "passed": pa.bool_()}
    write_parquet(path, frame, pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS]))
