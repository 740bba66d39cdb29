"""Stage quality_gate: limits on any metric and slice of evaluate, and the verdict that export asks for."""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field, model_validator

from tasks import label_noise, leakage, verdict
from tasks.core.files import read_json, read_parquet, write_parquet, write_text
from tasks.core.line import Line
from tasks.core.settings import Settings
from tasks.core.stage import run_stage
from tasks.label_noise import LabelNoiseSettings
from tasks.leakage import LeakageSettings
from tasks.report import data_uri, render
from tasks.text import TextSettings
from tasks.verdict import Check, Verdict

if TYPE_CHECKING:
    import pandas as pd

PLOTS = {"confusion.png": "Confusion matrix", "reliability.png": "Reliability on the test rows"}


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


class QualityGateSettings(Settings, block="quality_gate"):
    """What a trained model must show before it is exported."""

    checks: tuple[CheckSettings, ...] = Field(min_length=1, description="Every one of them must pass.")
    leakage: LeakageSettings = Field(LeakageSettings(), description="Copies of judging rows in train.")
    label_noise: LabelNoiseSettings = Field(LabelNoiseSettings(), description="Test labels that the model doubts.")


class Metric(NamedTuple):
    """A figure of metrics.json, with the rows behind it where they are told."""

    value: float | int | str | None
    rows: int | None


def quality_gate(line: Line, settings: QualityGateSettings, text: TextSettings, out: Path) -> None:
    """Hold evaluate/metrics.json against the checks, and look for leakage and label noise.

    Writes verdict.json, gate.html and rows.parquet (the rows to look at), also when it rejects.
    """
    metrics = flatten(read_json(line.file("evaluate", "metrics.json")))
    checks = [check for wanted in settings.checks for check in judge(wanted, metrics)]
    parts = _leakage(line, settings.leakage, text), _label_noise(line, settings.label_noise)
    checks += [check for part, _ in parts for check in part]
    _write_rows(out / "rows.parquet", [rows for _, rows in parts])
    result = Verdict.of("quality_gate", checks)
    verdict.write(out / "verdict.json", result)
    plots = [(caption, data_uri(line.file("evaluate", name).read_bytes())) for name, caption in PLOTS.items()]
    page = render(
        "gate.html.j2", title=f"{line.name}: quality gate", summary=summary(result), verdict=result, plots=plots
    )
    write_text(out / "gate.html", page)


def _leakage(line: Line, settings: LeakageSettings, text: TextSettings) -> tuple[list[Check], "pd.DataFrame"]:
    sides = {side: read_parquet(line.file("split", f"{side}.parquet")) for side in ("train", "validation", "test")}
    return leakage.examine(sides, settings, text)


def _label_noise(line: Line, settings: LabelNoiseSettings) -> tuple[list[Check], "pd.DataFrame"]:
    predictions = read_parquet(line.file("evaluate", "predictions.parquet"))
    return label_noise.examine(predictions, read_json(line.file("label", "labels.json")), settings)


def _write_rows(path: Path, tables: list["pd.DataFrame"]) -> None:
    import pandas as pd

    columns = list(dict.fromkeys(name for table in tables for name in table.columns))
    filled = [table for table in tables if len(table)]
    write_parquet(path, pd.concat(filled or tables, ignore_index=True).reindex(columns=columns))


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


def summary(result: Verdict) -> str:
    """The verdict in a sentence or two."""
    rejecting = result.rejections()
    warning = sum(check.outcome == "warn" for check in result.checks)
    warned = f" {warning} of them {'warns' if warning == 1 else 'warn'}." if warning else ""
    if not rejecting:
        return f"All {len(result.checks)} checks let the model through.{warned}"
    more = [f"and {len(rejecting) - 3} more"] if len(rejecting) > 3 else []
    what = "; ".join(rejecting[:3] + more)
    return (
        f"{len(rejecting)} of {len(result.checks)} checks reject: {what}. Nothing is exported from this model.{warned}"
    )


if __name__ == "__main__":
    run_stage(quality_gate)
