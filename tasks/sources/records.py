"""Rows given as Python values: what a database driver or a JSON parser returns, as tables of text."""

import contextlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tasks.core.errors import SettingsError, SourceError
from tasks.sources.tables import LISTS, ROWS, canonical, column_type

if TYPE_CHECKING:
    import pyarrow as pa

KINDS: dict[type, str] = {
    str: "text", bool: "truth value", int: "whole number", float: "number", Decimal: "number", datetime: "time",
    date: "time", list: "list", tuple: "list", dict: "object", bytes: "bytes", memoryview: "bytes", bytearray: "bytes",
}  # fmt: skip
"""What a value is called in messages and in provenance, where a later sync finds it again."""


def table(values: Mapping[str, Sequence[Any]], where: str) -> tuple["pa.Table", dict[str, str]]:
    """Columns of Python values as a table with the columns ROWS, and the type of each column that holds any value.

    Numbers, truth values and the like become text; lists stay lists under `ratings` and `votes`, else they become JSON,
    as objects do. Raises SourceError for bytes and for a column of more than one type; it never quotes a value.
    """
    import pyarrow as pa

    types = {name: kind for name, column in values.items() if (kind := _kind(name, column, where))}
    rows = max(map(len, values.values()), default=0)
    try:
        arrays = {name: _array(name, column, types.get(name)) for name, column in values.items()}
    except (pa.ArrowException, OverflowError) as error:
        raise SourceError(f"{where}: a value cannot be stored ({type(error).__name__}). Mend it, or cast it.") from None
    if not rows:
        return empty(), types
    times = arrays.pop("created_at") if types.get("created_at") == "time" else None  # no text to be parsed
    found = canonical(pa.table(arrays), where)
    place = found.column_names.index("created_at")
    return found if times is None else found.set_column(place, "created_at", times), types


def empty() -> "pa.Table":
    """No row, with the columns ROWS."""
    import pyarrow as pa

    return canonical(pa.table({name: pa.array([], pa.string()) for name in ROWS}), "")


def agree(before: Mapping[str, str], now: Mapping[str, str], where: str) -> dict[str, str]:
    """The types of both. Raises SourceError when a column has changed its type since."""
    for name, kind in now.items():
        if before.get(name, kind) != kind:
            raise SourceError(
                f"{where}: the column taken as {name!r} held {before[name]} when rows were taken before, and now "
                f"holds {kind}. Nothing of it was taken. Cast it back, or give the source another name if it is meant."
            )
    return {**before, **now}


def from_environment(variable: str, what: str) -> str:
    """The value of an environment variable that holds a secret. Raises SourceError when it is not set."""
    value = os.environ.get(variable, "").strip()
    if not value:
        raise SourceError(f"{what} is read from the environment variable {variable}, which is not set. Set it.")
    return value


def is_variable(given: str, what: str) -> str:
    """The name of an environment variable as it was given.

    Raises SettingsError for anything else. It is no ValueError: those quote what was given, here perhaps a secret.
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,99}", given):
        raise SettingsError(
            f"{what} names an environment variable, as in REVIEWS_DB_URL (letters, digits and _). What was given is "
            "none and is not shown, for it may be a secret: take it out of params.yaml, and change it if it is one."
        )
    return given


def _kind(name: str, values: Iterable[Any], where: str) -> str | None:
    kinds = {KINDS.get(kind, "text") for kind in set(map(type, values)) - {type(None)}}
    if kinds == {"whole number", "number"}:
        return "number"
    if "bytes" in kinds or len(kinds) > 1:
        told = " and ".join(sorted(kinds))
        raise SourceError(f"{where}: the column taken as {name!r} holds {told}; it must be of one type, and no bytes.")
    return kinds.pop() if kinds else None


def _array(name: str, values: Sequence[Any], kind: str | None) -> "pa.Array":
    import pyarrow as pa

    if kind is None:
        return pa.nulls(len(values), pa.string())
    if name == "created_at" and kind == "time":
        return pa.array([*map(_moment, values)], pa.timestamp("us", tz="UTC"))
    if name in LISTS and kind == "list":
        return pa.array(values, column_type(name))
    with contextlib.suppress(UnicodeEncodeError, pa.ArrowException, OverflowError):
        if fast := {"text": pa.string(), "whole number": pa.int64()}.get(kind):
            return pa.array(values, fast)
    return pa.array([*map(_text, values)], pa.string())


def _text(value: Any) -> str | None:
    """As text; a half of a surrogate pair cannot be stored."""
    if value is None:
        return None
    if isinstance(value, dict | list | bool):
        value = json.dumps(value, ensure_ascii=False, default=str)
    text = str(value)
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _moment(value: Any) -> Any:
    """A day is its first moment."""
    return value if value is None or isinstance(value, datetime) else datetime(value.year, value.month, value.day)
