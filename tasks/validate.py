"""Great Expectations guards the line's input: bad rows go aside with their reasons, a bad batch goes no further."""

import logging
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from tasks import filters, report, verdict
from tasks.core.files import atomic, write_text
from tasks.core.line import Line
from tasks.core.settings import Settings
from tasks.core.stage import run_stage
from tasks.filters import Filtered, FilterSettings
from tasks.verdict import Check, Verdict

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResult

    from tasks.expectations import Expected, Outcome

log = logging.getLogger("tidegate")

DERIVED = ("characters", "ratings_count", "ratings_min", "ratings_max")
"""Columns that expectations may name beside those of the table; they are never written."""


class ValidateSettings(Settings, block="validate"):
    """When a batch is rejected as a whole, and which sound rows are left out.

    What is expected of rows stands in data/<line>/expectations.yaml.
    """

    max_quarantined: float = Field(0.05, ge=0, le=1, description="reject when a larger share of rows is quarantined")
    min_rows: int = Field(1, ge=1, description="reject when fewer rows than this pass")
    filters: FilterSettings = Field(FilterSettings(), description="rows that are sound and yet left out")


def validate(line: Line, settings: ValidateSettings, out: Path) -> None:
    """Hold the line's rows against its expectations, and filter those that pass.

    Reads ingest/rows.parquet and data/<line>/expectations.yaml; writes rows.parquet (those that passed),
    quarantine.parquet (tasks.rows.QUARANTINE: those that failed, each with all its reasons), filtered.parquet (those
    that a filter left out, in the same form), verdict.json and Data Docs in docs/. A missing, unreadable or empty table
    rejects. The stage itself ends well when it rejects; the next one does not. Neither verdict nor docs hold a text or
    another value of a row. Raises SettingsError for a wrong suite.

    A million rows take 18 s of processor time and 1.8 GB of memory at the peak (11 expectations, 1.3 % of rows fail,
    no filter).
    """
    from tasks import expectations

    suite = expectations.load(line.folder / "expectations.yaml", [*_viewed(), *DERIVED])
    table, problem = _read(line.file("ingest", "rows.parquet"))
    counted = _row_count(settings.min_rows)
    expected = [counted, *suite] if table.num_rows else [counted]
    result = expectations.check(_view(table), expected, line.name)
    outcomes = expectations.outcomes(result, expected)
    reasons = _reasons(outcomes)
    sound, quarantined = _parted(table, reasons)
    filtered = filters.apply(sound, settings.filters)
    judged = _verdict(table.num_rows, outcomes, reasons, filtered, settings, problem)
    passed, left_out = _parted(sound, filtered.reasons)
    _write(out / "rows.parquet", passed)
    _write(out / "quarantine.parquet", quarantined)
    _write(out / "filtered.parquet", left_out)
    verdict.write(out / "verdict.json", judged)
    expectations.strip(result)
    write_text(out / "docs" / "index.html", _docs(line, judged, result))
    log.info(
        "%d rows, %d quarantined, %d filtered: %s", table.num_rows, len(reasons), left_out.num_rows, judged.verdict
    )
    for sentence in judged.rejections():
        log.info("rejected: %s", sentence)


def _row_count(least: int) -> "Expected":
    """Expected of every table, whatever the suite says: an empty one would fulfil every other expectation."""
    from tasks.expectations import Expected

    return Expected("expect_table_row_count_to_be_between", {"min_value": least}, "reject", by_row=False)


def _read(path: Path) -> tuple["pa.Table", str]:
    """The table at `path` in the types of tasks.rows.RAW; an empty one and the problem where there is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from tasks.rows import RAW

    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        return RAW.empty_table(), f"{path} is missing; run ingest"
    except (pa.ArrowException, OSError) as error:
        if getattr(error, "errno", None):  # the disk's fault, not the file's
            raise
        return RAW.empty_table(), f"{path} is no whole parquet file; run ingest again"
    if absent := [name for name in RAW.names if name not in table.column_names]:
        return RAW.empty_table(), f"{path} lacks {', '.join(absent)}; run ingest again"
    try:
        return table.select(RAW.names).cast(RAW).combine_chunks(), ""
    except pa.ArrowException:
        return RAW.empty_table(), f"{path} has columns of other types than tasks.rows.RAW; run ingest again"


def _viewed() -> list[str]:
    """Columns of the table that expectations see as they are."""
    from tasks.rows import RAW

    return [name for name in RAW.names if name not in ("ratings", "votes")]


def _view(table: "pa.Table") -> "pd.DataFrame":
    """What expectations see: the table without its lists, and the columns derived from it."""
    import pandas as pd
    import pyarrow.compute as pc

    from tasks.ratings import Ratings

    ratings = Ratings.of(table["ratings"])
    frame: pd.DataFrame = table.select(_viewed()).to_pandas()
    frame["characters"] = pc.utf8_length(table["text"]).to_pandas()
    # unknown, not none, where a label or votes stand in their place: a floor under ratings is not meant for such rows
    silent = frame["label"].isna() & (pc.fill_null(pc.list_value_length(table["votes"]), 0).to_pandas() == 0)
    frame["ratings_count"] = pd.Series(ratings.count).where((ratings.count > 0) | silent).astype("Int64")
    frame["ratings_min"] = ratings.low
    frame["ratings_max"] = ratings.high
    return frame


def _reasons(outcomes: list["Outcome"]) -> dict[int, str]:
    """Position of each row to quarantine, with all the reasons for it, in the order of the suite."""
    reasons: dict[int, list[str]] = {}
    for outcome in outcomes:
        if outcome.expected.severity == "quarantine":
            for row in outcome.failing:
                reasons.setdefault(row, []).append(_reason(outcome))
    return {row: "; ".join(found) for row, found in reasons.items()}


def _reason(outcome: "Outcome") -> str:
    return outcome.expected.reason or f"fails: {outcome.expected.words}"


def _parted(table: "pa.Table", reasons: dict[int, str]) -> tuple["pa.Table", "pa.Table"]:
    """The rows that passed, and the others with the reason (tasks.rows.QUARANTINE)."""
    import numpy as np
    import pyarrow as pa

    from tasks.rows import QUARANTINE

    passed = np.ones(table.num_rows, dtype=bool)
    passed[list(reasons)] = False
    texts = pa.array([reasons[row] for row in sorted(reasons)], pa.string())
    quarantined = table.filter(pa.array(~passed)).append_column(QUARANTINE.field("reason"), texts)
    return table.filter(pa.array(passed)), quarantined


def _write(path: Path, table: "pa.Table") -> None:
    import pyarrow.parquet as pq

    with atomic(path) as temporary:
        pq.write_table(table.combine_chunks(), temporary, compression="zstd")


def _verdict(
    rows: int, outcomes: list["Outcome"], reasons: dict[int, str], filtered: Filtered, settings: ValidateSettings,
    problem: str,
) -> Verdict:  # fmt: skip
    table = [Check(name="the table", value="unusable", outcome="reject", note=problem)] if problem else []
    share = len(reasons) / rows if rows else 0.0
    sound = rows - len(reasons)
    counts = Counter(
        _reason(outcome) for outcome in outcomes if outcome.expected.severity == "quarantine" for _ in outcome.failing
    )
    found = ", ".join(f"{reason}: {count}" for reason, count in counts.most_common(5))
    quarantined = verdict.limit("share of rows quarantined", share, None, settings.max_quarantined, rows)
    passed = verdict.limit("rows that passed", sound - len(filtered.reasons), settings.min_rows, None, rows)
    whole = [
        _advised(quarantined, f"{found}; mend the rows, or raise validate.max_quarantined"),
        *_filter_checks(filtered, settings.filters, sound),
        _advised(passed, "bring more rows, or lower validate.min_rows"),
    ]
    checks = [*table, *(_check(outcome) for outcome in outcomes), *whole]
    told = {"rows": rows, "quarantined": len(reasons), "reasons": dict(sorted(counts.items()))}
    return Verdict.of("validate", checks, **told, filters=filtered.told(sound))


def _advised(check: Check, advice: str) -> Check:
    """The check with what helps where it rejects."""
    return check.model_copy(update={"note": advice}) if check.outcome == "reject" else check


def _filter_checks(filtered: Filtered, settings: FilterSettings, rows: int) -> list[Check]:
    """A limit on what the filters take together; a note where one of them did not see every row."""
    if not filtered.counts:
        return []
    share = len(filtered.reasons) / rows if rows else 0.0
    whole = verdict.limit("share of rows filtered", share, None, settings.max_share, rows)
    return [
        _advised(whole, "set validate.filters otherwise, or raise validate.filters.max_share"),
        *(_filter_check(step, told) for step, told in filtered.counts.items()),
    ]


def _filter_check(step: str, told: dict[str, int]) -> Check:
    unseen = told["rows"] - told["looked_at"]
    return Check(
        name=f"filtered: {step}",
        value=told["left_out"],
        rows=told["looked_at"],
        outcome="warn" if unseen else "pass",
        note=f"{unseen} rows more were not looked at; raise max_rows" if unseen else "",
    )


def _check(outcome: "Outcome") -> Check:
    """One expectation as a check. One that could not be computed rejects: nobody knows what the rows are like."""
    expected = outcome.expected
    failed = "reject" if expected.severity == "reject" else "warn"
    if outcome.error:
        note = f"it could not be computed ({outcome.error}); do its arguments fit the column's type?"
        return Check(name=expected.words, value=None, outcome="reject", note=note)
    if expected.by_row:
        clean = not outcome.failing if expected.severity == "quarantine" else outcome.success
        return Check(
            name=f"rows that fail: {expected.words}",
            value=len(outcome.failing),
            max=(1 - expected.kwargs.get("mostly", 1)) * (outcome.judged or 0),
            rows=outcome.judged,
            outcome="pass" if clean else failed,
            note="" if clean else _reason(outcome) if expected.severity == "quarantine" else expected.reason,
        )
    return Check(
        name=expected.words,
        value=outcome.observed,
        min=_number(expected.kwargs.get("min_value")),
        max=_number(expected.kwargs.get("max_value")),
        outcome="pass" if outcome.success else failed,
        note="" if outcome.success else expected.reason,
    )


def _number(value: Any) -> float | None:
    return value if isinstance(value, (int, float)) else None


def _summary(told: dict[str, Any]) -> str:
    left_out = told["filters"]["left_out"]
    by_filters = f", {left_out} left out by filters" if told["filters"]["steps"] else ""
    return f"{told['rows']} rows, {told['quarantined']} of them quarantined{by_filters}."


def _docs(line: Line, judged: Verdict, result: "ExpectationSuiteValidationResult") -> str:
    """The Data Docs page: the verdict, then each column's expectations as Great Expectations words them.

    Only the sections are taken from there: its own page links a dozen files of the web and holds the time of day.
    """
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
    from great_expectations.render.view.view import DefaultJinjaSectionView

    document = ValidationResultsPageRenderer(run_info_at_end=True).render(result).to_json_dict()
    view: Any = DefaultJinjaSectionView()
    sections = document["sections"][1:-1]  # without overview and run info
    html = [
        view.render({"section": section, "section_loop": {"index": n}}) for n, section in enumerate(sections, start=1)
    ]
    return report.render(
        "docs.html.j2",
        title=f"{line.name}: Data Docs",
        summary=_summary(judged.details),
        verdict=judged,
        plots=[],
        parts=[],
        sections="\n".join(re.sub(r"\n\s*\n+", "\n", one) for one in html),
        version=result.meta["great_expectations_version"],
    )


if __name__ == "__main__":
    run_stage(validate)
