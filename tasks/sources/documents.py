"""Rows in a YAML document: a list of lists, as pairs of question and answer, or of objects."""

import json
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any

from tasks.core.errors import SourceError

if TYPE_CHECKING:
    import pyarrow as pa


def rows(
    stream: IO[bytes], encoding: str, key: str | None, columns: Mapping[str, str | int], where: str
) -> "pa.Table":
    """The wanted columns of the list that a document is, or has under `key`; every cell is text as it is written.

    The document is held in memory as a whole. Items of a row beyond the wanted ones are left out; a key that a row lacks
    is null. Raises SourceError where it is no YAML, no list of such rows, or a cell is no text; it never quotes one.
    """
    import pyarrow as pa

    found = _list(_document(stream, encoding, where), key, where)
    cells = [
        {ours: _cell(row, theirs, f"{where}: row {number}") for ours, theirs in columns.items()}
        for number, row in enumerate(found, 1)
    ]
    for ours, theirs in columns.items():
        if cells and all(row[ours] is None for row in cells):
            raise SourceError(f"{where} has no {theirs!r} in any row. Correct `columns:`.")
    return pa.Table.from_pylist(cells, schema=pa.schema([(name, pa.string()) for name in columns]))


def _document(stream: IO[bytes], encoding: str, where: str) -> Any:
    import yaml

    try:
        return yaml.load(stream.read().decode(encoding), getattr(yaml, "CBaseLoader", yaml.BaseLoader))  # noqa: S506 - makes text, lists and objects alone
    except UnicodeDecodeError as error:
        raise SourceError(f"{where} is not {encoding} (byte {error.start}). Set `encoding:` to what it is.") from None
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" (line {mark.line + 1}: {getattr(error, 'problem', '')})" if mark else ""
        raise SourceError(f"{where} cannot be read as yaml{place}. Mend the file.") from None


def _list(document: Any, key: str | None, where: str) -> list[Any]:
    found = document if key is None else document.get(key) if isinstance(document, dict) else None
    if isinstance(found, list):
        return found
    known = ", ".join(map(str, list(document)[:20])) if isinstance(document, dict) else "none"
    what = "is no list of rows" if key is None else f"has no list of rows under {key!r}"
    raise SourceError(f"{where} {what}. Set `rows_of:` to the key that holds it; there are {known}.")


def _cell(row: Any, column: str | int, where: str) -> str | None:
    if isinstance(row, list) and isinstance(column, int):
        if column >= len(row):
            raise SourceError(f"{where} has {len(row)} items; `columns:` asks for place {column}, counted from 0.")
        cell = row[column]
    elif isinstance(row, dict) and isinstance(column, str):
        cell = row.get(column)
    else:
        form = {list: "a list, whose columns have places", dict: "an object, whose columns have names"}
        raise SourceError(f"{where} is {form.get(type(row), 'neither a list nor an object')}. Correct `columns:`.")
    if cell is None or isinstance(cell, str):
        return cell
    raise SourceError(f"{where} has a list or an object where text is wanted ({json.dumps(column)}).")
