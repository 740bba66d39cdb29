"""What a line expects of its rows: a Great Expectations suite kept as YAML, with a severity per expectation."""

import difflib
import inspect
import logging
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import yaml

from tasks.core.errors import SettingsError

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResult

Severity = Literal["reject", "quarantine", "warn"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)

RESERVED = {"batch_id", "catch_exceptions", "id", "meta", "rendered_content", "result_format", "severity", "windows"}
"""Arguments of every expectation that are this program's to set."""


@dataclass(frozen=True)
class Expected:
    """One expectation: its name in Great Expectations, its arguments, and what follows where it fails."""

    name: str
    kwargs: dict[str, Any]
    severity: Severity
    by_row: bool  # it judges single rows, not the table as a whole
    reason: str = ""

    @property
    def words(self) -> str:
        """`expect_column_values_to_be_unique` of `id` -> `id values to be unique`."""
        what = re.sub(r"^expect_(column_|table_)?", "", self.name).replace("_", " ")
        what = what if self.by_row else what.removesuffix(" to be between")
        columns = [c for key in COLUMN_KEYS for c in _listed(self.kwargs.get(key))]
        return " ".join([*columns, what] if columns else ["table", what])


@dataclass(frozen=True)
class Outcome:
    """How one expectation turned out. Positions of rows and numbers only: no value of a row."""

    expected: Expected
    success: bool
    failing: list[int] = field(repr=False, default_factory=list)  # positions of the rows that fail
    observed: float | int | None = None
    judged: int | None = None  # rows it looked at: those where its column is not null
    error: str = ""


COLUMN_KEYS = ("column", "column_A", "column_B", "column_list")


def load(path: Path, columns: Sequence[str]) -> list[Expected]:
    """Read a line's expectations.yaml: a list of `{expectation, severity, reason?, arguments...}`.

    `columns` are those that an expectation may name. Raises SettingsError that lists every error of the file.
    """
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(
            f"{path} is missing. It lists what is expected of this line's rows; [] for nothing."
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not readable as YAML: {error}") from None
    if not isinstance(entries, list):
        raise SettingsError(f"{path} must be a list of expectations, each with `expectation:` and `severity:`.")
    problems, expected = [], []
    for number, entry in enumerate(entries, start=1):
        found = _problems(entry, columns)
        if not found and entry in entries[: number - 1]:
            found = [f"is the same as entry {entries.index(entry) + 1}; remove one"]
        problems += [f"{path}, entry {number}{_called(entry)}: {problem}." for problem in found]
        if not found:
            expected.append(_expected(entry))
    if problems:
        raise SettingsError("\n".join(problems))
    return expected


def check(frame: "pd.DataFrame", expected: list[Expected], suite: str) -> "ExpectationSuiteValidationResult":
    """Validate a frame against all expectations in one pass, in a Great Expectations context of its own.

    The results come in the order of `expected`; they may hold values of rows, so call `outcomes` and `strip` on them.
    """
    _quiet()
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.expectations.metadata_types import FailureSeverity as Failure

    severity = {"reject": Failure.CRITICAL, "quarantine": Failure.WARNING, "warn": Failure.INFO}
    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        progress_bars=ProgressBarsConfig(globally=False),
    )
    context = gx.get_context(mode="ephemeral", project_config=config)
    asset = context.data_sources.add_pandas(suite).add_dataframe_asset(suite)
    data = asset.add_batch_definition_whole_dataframe(suite)
    configurations = [
        ExpectationConfiguration(
            type=one.name, kwargs=dict(one.kwargs), meta={"entry": n}, severity=severity[one.severity]
        )
        for n, one in enumerate(expected)
    ]
    wanted = context.suites.add(gx.ExpectationSuite(name=suite, expectations=configurations))
    definition = context.validation_definitions.add(gx.ValidationDefinition(name=suite, data=data, suite=wanted))
    # Batch.validate would read, and hash, the frame once more.
    result = definition.run(
        batch_parameters={"dataframe": frame},
        result_format={"result_format": "COMPLETE", "include_unexpected_rows": False},
    )
    result.results.sort(key=_entry)
    return result


def _entry(one: Any) -> int:
    number: int = one.expectation_config.meta["entry"]
    return number


def outcomes(result: "ExpectationSuiteValidationResult", expected: list[Expected]) -> list[Outcome]:
    """What each expectation came to."""
    return [_outcome(one, wanted) for one, wanted in zip(result.results, expected, strict=True)]


def strip(result: "ExpectationSuiteValidationResult") -> None:
    """Take from a result all that varies between runs or is taken from a row: counts and shares stay."""
    import great_expectations as gx

    result.meta = {"great_expectations_version": gx.__version__}
    for one in result.results:
        one.meta = {}
        one.result = {key: value for key, value in one.result.items() if _is_number(value)}
        one.exception_info = {"raised_exception": False, "exception_message": None, "exception_traceback": None}


def _outcome(one: Any, expected: Expected) -> Outcome:
    if error := _error(one.exception_info):
        return Outcome(expected, success=False, error=error)
    content = one.result
    observed = content.get("observed_value")
    return Outcome(
        expected,
        success=bool(one.success),
        failing=[int(n) for n in content.get("unexpected_index_list") or []],
        observed=observed if _is_number(observed) else None,
        judged=content["element_count"] - content.get("missing_count", 0) if "element_count" in content else None,
    )


def _error(info: dict[str, Any] | None) -> str:
    """The kind of exception that a metric raised; never its message, which may quote a row."""
    infos = [info] if "raised_exception" in (info or {}) else list((info or {}).values())
    raised = [one for one in infos if isinstance(one, dict) and one.get("raised_exception")]
    if not raised:
        return ""
    last = (raised[0].get("exception_traceback") or "").strip().rsplit("\n", 1)[-1]
    kind = re.match(r"[\w.]+", last)
    return kind.group().rsplit(".", 1)[-1] if kind else "error"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _expected(entry: dict[str, Any]) -> Expected:
    kwargs = {key: value for key, value in entry.items() if key not in ("expectation", "severity", "reason")}
    return Expected(
        entry["expectation"], kwargs, entry["severity"], _by_row(entry["expectation"]), entry.get("reason", "")
    )


def _problems(entry: Any, columns: Sequence[str]) -> list[str]:
    """What is wrong with one entry of the file."""
    if not isinstance(entry, dict):
        return [f"must be a block with `expectation:` and `severity:`, got {entry!r}"]
    problems, name, severity = [], entry.get("expectation"), entry.get("severity")
    if severity not in SEVERITIES:
        problems.append(
            f"severity was given as {severity!r}{_near(severity, SEVERITIES)}; allowed: {', '.join(SEVERITIES)}"
        )
    if not isinstance(entry.get("reason", ""), str):
        problems.append("reason must be text")
    if name not in known():
        return [*problems, f"there is no expectation {name!r}{_near(name, known())}; see docs.greatexpectations.io"]
    if severity == "quarantine" and not _by_row(name):
        problems.append("it judges the table as a whole, so there are no rows to quarantine; use reject or warn")
    problems += [
        f"there is no column {column!r}{_near(column, columns)}; columns: {', '.join(columns)}"
        for key in COLUMN_KEYS
        for column in _listed(entry.get(key))
        if column not in columns
    ]
    return problems + _argument_problems(name, _expected(entry).kwargs) + _pattern_problems(entry)


def _argument_problems(name: str, kwargs: dict[str, Any]) -> list[str]:
    """Arguments that Great Expectations does not take."""
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.expectations.registry import get_expectation_impl

    allowed = sorted(set(get_expectation_impl(name).__fields__) - RESERVED)
    unknown = [key for key in kwargs if key not in allowed]
    if unknown:
        return [f"unknown argument {key!r}{_near(key, allowed)}; known: {', '.join(allowed)}" for key in unknown]
    try:
        ExpectationConfiguration(type=name, kwargs=kwargs).to_domain_obj()
    except ValueError as error:  # the base of pydantic's own
        details = error.errors() if hasattr(error, "errors") else [{"loc": (), "msg": str(error)}]
        return list(dict.fromkeys(f"{_place(one['loc'])}{one['msg']}" for one in details))
    return []


def _pattern_problems(entry: dict[str, Any]) -> list[str]:
    problems = []
    for pattern in [*_listed(entry.get("regex")), *_listed(entry.get("regex_list"))]:
        try:
            re.compile(pattern)
        except (re.error, TypeError) as error:
            problems.append(f"{pattern!r} is no regular expression: {error}")
    return problems


def known() -> list[str]:
    """Names of all expectations."""
    _quiet()
    import great_expectations.expectations.core  # noqa: F401 - registers them
    from great_expectations.expectations.registry import list_registered_expectation_implementations

    return sorted(list_registered_expectation_implementations())


def _quiet() -> None:
    """Great Expectations tells of every class it registers; only its warnings are worth a line of the log."""
    logging.getLogger("great_expectations").setLevel(logging.WARNING)


def _by_row(name: str) -> bool:
    from great_expectations.expectations import expectation
    from great_expectations.expectations.registry import get_expectation_impl

    kinds = (
        expectation.ColumnMapExpectation,
        expectation.ColumnPairMapExpectation,
        expectation.MulticolumnMapExpectation,
    )
    implementation = get_expectation_impl(name)
    return inspect.isclass(implementation) and issubclass(implementation, kinds)


def _listed(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]


def _place(location: Sequence[Any]) -> str:
    return "".join(f"{part}: " for part in location if part != "__root__")


def _called(entry: Any) -> str:
    return f" ({entry['expectation']})" if isinstance(entry, dict) and entry.get("expectation") else ""


def _near(given: Any, allowed: Sequence[str]) -> str:
    near = difflib.get_close_matches(str(given), list(allowed), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
