"""Rows in a YAML document: a list of lists, as pairs of question and answer, or of objects."""

from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any

from tasks.core.errors import SourceError
from tasks.sources.tables import UnreadableTable

if TYPE_CHECKING:
    import pyarrow as pa


def rows(stream: IO[bytes], encoding: str, key: str | None, columns: Mapping[str, str | int], where: str) -> "pa.Table":
    """The wanted columns of the list that a document is, or has under `key`; every cell is text as it is written,
    without white space at its ends.

    The document is held in memory as a whole. A column is a place in lists and a name in objects; what a row has beside
    is left out, and what it lacks is null, for the line's expectations to judge. Raises SourceError where it is no
    YAML, has no such list, a column is in no row, or a cell is no text; it never quotes one.
    """
    import pyarrow as pa

    found = _list(_document(stream, encoding, where), key, where)
    cells = [
        {ours: _cell(row, theirs, f"{where}: row {number}") for ours, theirs in columns.items()}
        for number, row in enumerate(found, 1)
    ]
    for ours, theirs in columns.items():
        if cells and all(row[ours] is None for row in cells):
            what = f"an item at place {theirs}, counted from 0," if isinstance(theirs, int) else f"a key {theirs!r}"
            raise UnreadableTable(f"{where}: no row has {what} to be `{ours}`.", "columns")
    return pa.Table.from_pylist(cells, schema=pa.schema([(name, pa.string()) for name in columns]))


def _document(stream: IO[bytes], encoding: str, where: str) -> Any:
    import yaml

    try:  # a base loader makes texts, lists and objects alone; the one in C dies of deep nesting and takes us along
        return yaml.load(stream.read().decode(encoding), yaml.BaseLoader)  # noqa: S506
    except UnicodeDecodeError as error:
        raise UnreadableTable(f"{where} is not {encoding} (byte {error.start}).", "encoding") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SourceError(f"{where} cannot be read as yaml: line {line}: {error.problem}. Mend the file.") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise SourceError(f"{where} cannot be read as yaml ({type(error).__name__}). Mend the file.") from None


def _list(document: Any, key: str | None, where: str) -> list[Any]:
    found = document if key is None else document.get(key) if isinstance(document, dict) else None
    if isinstance(found, list):
        return found
    keys = ", ".join(map(str, list(document)[:20])) if isinstance(document, dict) else "none"
    what = "is no list of rows" if key is None else f"has no list of rows under {key!r}"
    raise SourceError(f"{where} {what}. Set `rows_of:` to the key that holds it; its keys: {keys}.")


def _cell(row: Any, column: str | int, where: str) -> str | None:
    if isinstance(row, list) and isinstance(column, int):
        cell = row[column] if column < len(row) else None
    else:
        cell = row.get(column) if isinstance(row, dict) else None
    if cell is None or isinstance(cell, str):
        return cell and cell.strip()  # a block of lines ends with a line end
    raise SourceError(f"{where} has a list or an object where `columns:` says that text is ({column!r}).")
