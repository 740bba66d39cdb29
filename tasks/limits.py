"""Limits on single figures of metrics.json: the plain checks of the quality gate."""

import difflib
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import Field, model_validator

from tasks import verdict
from tasks.core.settings import Settings
from tasks.verdict import Check


class CheckSettings(Settings):
    """Limits of one metric, or of all that a pattern names."""

    metric: str = Field(
        min_length=1,
        description="Dotted path into metrics.json; * stands for any key, as in slices.source.*.accuracy.",
    )
    min: float | None = Field(None, description="The least that passes.")
    max: float | None = Field(None, description="The most that passes.")
    max_metric: str | None = Field(
        None, description="Path of another metric that the value may reach; with `max` too, the higher of both counts."
    )
    min_rows: int = Field(
        0, ge=0, description="With fewer rows behind the metric a miss warns instead of rejecting: too few to tell."
    )

    @model_validator(mode="after")
    def _some_limit(self) -> "CheckSettings":
        if self.min is None and self.max is None and self.max_metric is None:
            raise ValueError("a check needs `min`, `max` or `max_metric`")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"`min` {self.min:g} is above `max` {self.max:g}: nothing could pass")
        return self


class Metric(NamedTuple):
    """A figure of metrics.json, with the rows behind it where they are told."""

    value: float | int | str | None
    rows: int | None


def flatten(content: Mapping[str, Any], path: str = "", rows: int | None = None) -> dict[str, Metric]:
    """Every single figure below `content` by its dotted path; its rows are those told nearest above it."""
    rows = content.get("rows", rows)
    metrics: dict[str, Metric] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            metrics |= flatten(value, f"{path}{key}.", rows)
        elif not isinstance(value, list):
            metrics[f"{path}{key}"] = Metric(int(value) if isinstance(value, bool) else value, rows)
    return metrics


def judge(wanted: CheckSettings, metrics: Mapping[str, Metric]) -> list[Check]:
    """One check per metric that the path names; one that rejects when it names none."""
    pattern = re.compile(".+".join(map(re.escape, wanted.metric.split("*"))))
    named = [path for path in metrics if pattern.fullmatch(path)]
    if not named:
        return [_unknown(wanted.metric, wanted.metric, metrics)]
    if wanted.max_metric is not None and wanted.max_metric not in metrics:
        return [_unknown(path, wanted.max_metric, metrics) for path in named]
    return [_judge_one(path, wanted, metrics) for path in named]


def _judge_one(path: str, wanted: CheckSettings, metrics: Mapping[str, Metric]) -> Check:
    value, rows = metrics[path]
    highest, note = wanted.max, ""
    if wanted.max_metric is not None:
        other = metrics[wanted.max_metric].value
        if not isinstance(other, float | int):
            return _unmeasured(path, wanted.max_metric, wanted, rows)
        highest = float(other) if highest is None else max(highest, other)
        note = f"{wanted.max_metric} is {other:.4g}"
    if not isinstance(value, float | int):
        return _unmeasured(path, path, wanted, rows)
    check = verdict.limit(path, value, wanted.min, highest, rows).model_copy(update={"note": note})
    return check if check.outcome == "pass" else _missed(check, wanted)


def _unmeasured(path: str, what: str, wanted: CheckSettings, rows: int | None) -> Check:
    note = f"{what} is no number or could not be measured on these rows"
    check = Check(name=path, value=None, min=wanted.min, max=wanted.max, rows=rows, outcome="reject", note=note)
    return _missed(check, wanted)


def _missed(check: Check, wanted: CheckSettings) -> Check:
    """The check as it is, or a warning where too few rows stand behind it."""
    if check.rows is None or check.rows >= wanted.min_rows:
        return check
    few = f"too few rows to tell: {check.rows}, {wanted.min_rows} are asked for"
    return check.model_copy(update={"outcome": "warn", "note": "; ".join(filter(None, [check.note, few]))})


def _unknown(name: str, path: str, metrics: Mapping[str, Metric]) -> Check:
    near = difflib.get_close_matches(path, metrics, n=1, cutoff=0)
    hint = f"; the nearest is {near[0]}" if near else ""
    return Check(name=name, value=None, outcome="reject", note=f"metrics.json has no {path}{hint}")
