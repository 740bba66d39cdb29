"""Files of texts, read in chunks and written back whole with new columns: csv, tsv, jsonl, parquet."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from tasks.core.errors import DataError

Columns = Mapping[str, Sequence[Any]]
LONGEST_CELL = 1 << 30  # characters; the csv module's own limit of 131,072 is less than a long document


class Table(Protocol):
    """One kind of file. A chunk is whatever the kind likes; rows keep their order and every value."""

    path: Path

    def columns(self) -> list[str]:
        """Names of the columns. Raises DataError when the file is empty."""

    def chunks(self, rows: int) -> Iterator[Any]:
        """The file in chunks of `rows` rows, the last one shorter. Raises DataError on what cannot be read."""

    def texts(self, chunk: Any, column: str) -> list[str | None]:
        """A column of a chunk; None where there is no text."""

    def writer(self, path: Path, columns: Mapping[str, type]) -> AbstractContextManager[Any]:
        """Something with `write(chunk, new)`: the chunk's rows beside the values of the new columns."""


def table(path: Path) -> Table:
    """The table in a file, by its ending. Raises DataError when the file or a reader for it is missing."""
    if not path.is_file():
        raise DataError(f"{path} is missing or is no file. Give a csv, tsv, jsonl or parquet file.")
    kind = path.suffix.lower()
    match kind:
        case ".csv" | ".tsv":
            return Delimited(path, "," if kind == ".csv" else "\t")
        case ".jsonl" | ".ndjson":
            return Lines(path)
        case ".parquet":
            return Parquet(path)
        case _:
            raise DataError(
                f"{path} ends in {kind or 'nothing'}; files that can be read end in csv, tsv, jsonl, parquet."
            )


class Delimited:
    """csv and tsv with a header line, in UTF-8. Cells are kept as they are written; an empty one is no text."""

    def __init__(self, path: Path, delimiter: str) -> None:
        self.path, self.delimiter = path, delimiter

    def columns(self) -> list[str]:
        """The header line."""
        with _utf8(self.path) as stream:
            header: list[str] = next(self._reader(stream), [])
        if not header:
            raise DataError(f"{self.path} is empty: it has no header line.")
        if twice := sorted({name for name in header if header.count(name) > 1}):
            raise DataError(f"{self.path} has the column {', '.join(twice)} more than once. Rename one of them.")
        return header

    def chunks(self, rows: int) -> Iterator[list[list[str]]]:
        """Lists of rows, each a list of cells."""
        width = len(self.columns())
        with _utf8(self.path) as stream:
            reader = self._reader(stream)
            next(reader)
            while chunk := list(islice(reader, rows)):
                yield [row for row in chunk if self._fits(row, width, reader.line_num)]

    def texts(self, chunk: list[list[str]], column: str) -> list[str | None]:
        """Cells of a column."""
        place = self.columns().index(column)
        return [row[place] or None for row in chunk]

    @contextmanager
    def writer(self, path: Path, columns: Mapping[str, type]) -> Iterator["_DelimitedWriter"]:
        """Writes a file of the same kind."""
        with path.open("w", encoding="utf-8", newline="") as stream:
            lines = csv.writer(stream, delimiter=self.delimiter, lineterminator="\n")
            lines.writerow([*self.columns(), *columns])
            yield _DelimitedWriter(lines)

    def _reader(self, stream: Any) -> Any:
        csv.field_size_limit(LONGEST_CELL)
        return csv.reader(stream, delimiter=self.delimiter)

    def _fits(self, row: list[str], width: int, line: int) -> bool:
        """False for a blank line. Raises DataError for a row that is too short or too long."""
        if row and len(row) != width:
            raise DataError(
                f"{self.path} has a row of {len(row)} cells at or before line {line}; the header names {width}. "
                "Quote cells that hold the delimiter or a line end."
            )
        return bool(row)


class _DelimitedWriter:
    def __init__(self, lines: Any) -> None:
        self.lines = lines

    def write(self, chunk: list[list[str]], new: Columns) -> None:
        rows = zip(chunk, *new.values(), strict=True)
        self.lines.writerows([*row, *map(_cell, _plain(values))] for row, *values in rows)


class Lines:
    """jsonl: one JSON object per line, in UTF-8. Values are kept; a row without the column has no text."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def columns(self) -> list[str]:
        """The keys of the first thousand objects."""
        first = next(self.chunks(1000), None)
        if first is None:
            raise DataError(f"{self.path} is empty.")
        return list(dict.fromkeys(key for row in first for key in row))

    def chunks(self, rows: int) -> Iterator[list[dict[str, Any]]]:
        """Lists of objects."""
        with _utf8(self.path) as stream:
            objects = (self._object(line, n) for n, line in enumerate(stream, start=1) if line.strip())
            while chunk := list(islice(objects, rows)):
                yield chunk

    def texts(self, chunk: list[dict[str, Any]], column: str) -> list[str | None]:
        """Values of a key. Raises DataError where one is neither text nor null."""
        values = [row.get(column) for row in chunk]
        if strange := next((value for value in values if not isinstance(value, str | None)), None):
            raise DataError(f"{self.path} holds {type(strange).__name__} under {column!r}, texts are needed.")
        return [value or None for value in values]

    @contextmanager
    def writer(self, path: Path, columns: Mapping[str, type]) -> Iterator["_LinesWriter"]:  # noqa: ARG002
        """Writes a file of the same kind; each object brings its own names."""
        # half a surrogate pair, which JSON allows and UTF-8 does not, stays the escape that it was
        with path.open("w", encoding="utf-8", newline="\n", errors="backslashreplace") as stream:
            yield _LinesWriter(stream)

    def _object(self, line: str, number: int) -> dict[str, Any]:
        try:
            content = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{self.path}, line {number}, is no JSON: {error.msg} at column {error.colno}.") from None
        if not isinstance(content, dict):
            raise DataError(f"{self.path}, line {number}, is no JSON object but {type(content).__name__}.")
        return content


class _LinesWriter:
    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def write(self, chunk: list[dict[str, Any]], new: Columns) -> None:
        for row, *values in zip(chunk, *new.values(), strict=True):
            added = dict(zip(new, _plain(values, None), strict=True))
            self.stream.write(json.dumps({**row, **added}, ensure_ascii=False) + "\n")


class Parquet:
    """parquet, with the types of its columns."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def columns(self) -> list[str]:
        """The names in the schema."""
        return list(self._open().schema_arrow.names)

    def chunks(self, rows: int) -> Iterator[Any]:
        """pyarrow record batches."""
        yield from self._open().iter_batches(rows)

    def texts(self, chunk: Any, column: str) -> list[str | None]:
        """Values of a column. Raises DataError when it is not one of strings."""
        import pyarrow as pa

        values = chunk.column(column)
        kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)):
            raise DataError(f"{self.path}: column {column!r} holds {values.type}, texts are needed.")
        return [value or None for value in values.to_pylist()]

    @contextmanager
    def writer(self, path: Path, columns: Mapping[str, type]) -> Iterator["_ParquetWriter"]:
        """Writes a file of the same kind."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = self._open().schema_arrow
        types: dict[Any, Any] = {str: pa.string(), bool: pa.bool_(), float: pa.float32()}
        types |= {list[str]: pa.list_(pa.string()), list[float]: pa.list_(pa.float32())}
        for name, kind in columns.items():
            schema = schema.append(pa.field(name, types[kind]))
        with pq.ParquetWriter(path, schema, compression="zstd") as file:
            yield _ParquetWriter(file, schema)

    def _open(self) -> Any:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return pq.ParquetFile(self.path)
        except pa.ArrowInvalid as error:
            raise DataError(f"{self.path} is not readable as parquet: {error}") from None


class _ParquetWriter:
    def __init__(self, file: Any, schema: Any) -> None:
        self.file, self.schema = file, schema

    def write(self, chunk: Any, new: Columns) -> None:
        import pyarrow as pa

        fields = list(self.schema)[-len(new) :]
        added = [pa.array(values, field.type) for field, values in zip(fields, new.values(), strict=True)]
        self.file.write_batch(pa.RecordBatch.from_arrays([*chunk.columns, *added], schema=self.schema))


@contextmanager
def _utf8(path: Path) -> Iterator[Any]:
    """The file as text. Raises DataError that names the first wrong byte."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            yield stream
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 (byte 0x{error.object[error.start]:02x}: {error.reason}). Convert it first, e.g. "
            f"`iconv -f latin1 -t utf-8 {path.name} > utf8{path.suffix}`."
        ) from None
    except csv.Error as error:
        raise DataError(f"{path} is not readable: {error}.") from None


def _cell(value: Any) -> Any:
    """A list as JSON."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value


def _plain(values: Sequence[Any], missing: Any = "") -> list[Any]:
    """Numbers with six decimals at most, `missing` for None."""
    return [missing if v is None else round(v, 6) if isinstance(v, float) else v for v in values]
