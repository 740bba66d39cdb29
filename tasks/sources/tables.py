"""csv, tsv, jsonl, yaml and parquet read in pieces of bounded size, their columns mapped to ours."""

import codecs
import contextlib
import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from tasks.core.errors import SourceError
from tasks.core.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa

Column = Literal["id", "text", "label", "ratings", "votes", "created_at", "group"]
ROWS: tuple[Column, ...] = ("id", "text", "label", "ratings", "votes", "created_at", "group")
"""Columns of what `read` yields: strings, `ratings` a list of float32, `votes` a list of who said which label (VOTES of
tasks.rows), `created_at` a UTC time, `group` whose row it is; null where unmapped."""

Format = Literal["csv", "tsv", "jsonl", "parquet", "yaml"]
SUFFIXES: dict[str, Format] = {
    ".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".pq": "parquet",
    ".yaml": "yaml", ".yml": "yaml",
}  # fmt: skip
LISTS: tuple[Column, ...] = ("ratings", "votes")
CHUNK = 50_000  # rows
BLOCK = 16 << 20  # bytes of csv read at once; no row may be longer


Remedy = Literal["columns", "empty", "format", "encoding", "separators", "quote"]
REMEDIES: Mapping[Remedy, str] = {
    "columns": "Correct `columns:`.",
    "empty": "If that is meant, take the source out of params.yaml.",
    "format": "Set `format:` to csv, tsv, jsonl, parquet or yaml.",
    "encoding": "Set `encoding:` to what the file is, often latin-1 or cp1252, or mend the file.",
    "separators": "Look at `delimiter:` and `quote:`, or mend the file.",
    "quote": "Mend it, double a quote that belongs to the text, or set `quote:` to what the file has.",
}
"""What helps where a source of params.yaml names the file."""
OF_COMMAND: Mapping[Remedy, str] = {
    "columns": "Name the columns as the command wants them.",
    "empty": "Leave it out.",
    "format": "Let it end with .csv, .tsv, .jsonl, .parquet or .yaml.",
    "encoding": "Save it as UTF-8.",
    "separators": "Mend the file.",
    "quote": "Mend it, or double a quote that belongs to the text.",
}
"""What helps where somebody gave the file to a command."""


class UnreadableTable(SourceError):
    """A file of rows that cannot be read as it is: what is wrong, and what helps."""

    def __init__(self, fault: str, remedy: Remedy) -> None:
        super().__init__(fault, remedy)
        self.fault, self.remedy = fault, remedy

    def __str__(self) -> str:
        return self.advised(REMEDIES)

    def advised(self, remedies: Mapping[Remedy, str]) -> str:
        """The message for somebody whom these remedies help."""
        return f"{self.fault} {remedies[self.remedy]}"


class TableSettings(Settings):
    """How a file of rows is read."""

    format: Format | None = Field(
        None, description="csv, tsv, jsonl, parquet or yaml; by default what the name ends with"
    )
    header: bool = Field(True, description="whether the first line of csv and tsv names the columns")
    encoding: str = Field("utf-8", description="of csv, tsv, jsonl and yaml")
    rows_of: str | None = Field(None, description="key of a yaml document whose value is the list of rows")
    delimiter: str | None = Field(None, min_length=1, max_length=1, description="by default , for csv and tab for tsv")
    quote: str | None = Field(None, max_length=1, description='by default " for csv and none ("") for tsv')
    skip: int = Field(0, ge=0, le=1000, description="lines of csv and tsv behind the header that are no rows")
    columns: dict[Column, str | int] = Field(description="our column: theirs, by name or by place from 0")

    @field_validator("encoding")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            return codecs.lookup(name).name
        except LookupError:
            raise ValueError("no encoding of this name is known; common ones are utf-8, latin-1 and cp1252") from None


def read(path: Path, settings: TableSettings, where: str, columns: dict[Column, str | int]) -> Iterator["pa.Table"]:
    """The rows of a file in order, with the columns ROWS, of which those not in `columns` are null.

    `where` names the file in messages. Raises SourceError that says what is wrong in which row; it never quotes text.
    """
    found = False
    for table in _raw(path, settings, where, columns):
        if table.num_rows:
            found = True
            yield canonical(table, where)
    if not found:
        raise UnreadableTable(f"{where} holds no row.", "empty")


def raw(path: Path, settings: TableSettings, where: str, columns: Any) -> Iterator["pa.Table"]:
    """The wanted columns only, renamed to the keys of `columns`, with the types that the file has."""
    return _raw(path, settings, where, columns)


def canonical(table: "pa.Table", where: str) -> "pa.Table":
    """The table with all of ROWS and their types."""
    import pyarrow as pa

    converters = {"ratings": _ratings, "votes": _votes, "created_at": _times}
    arrays = [
        converters.get(name, _strings)(table[name].combine_chunks(), where)
        if name in table.column_names
        else pa.nulls(table.num_rows, column_type(name))
        for name in ROWS
    ]
    return pa.table(dict(zip(ROWS, arrays, strict=True)))


def column_type(name: str) -> "pa.DataType":
    """The type of a column of ROWS."""
    import pyarrow as pa

    from tasks.rows import VOTES

    types = {"ratings": pa.list_(pa.float32()), "votes": VOTES, "created_at": pa.timestamp("us", tz="UTC")}
    return types.get(name, pa.string())


def _raw(path: Path, settings: TableSettings, where: str, columns: Any) -> Iterator["pa.Table"]:
    import pyarrow as pa

    if not path.stat().st_size:
        raise SourceError(f"{where} is empty (0 bytes).")
    form = settings.format or _guess(where)
    reader = {"csv": _csv, "tsv": _csv, "jsonl": _jsonl, "parquet": _parquet, "yaml": _yaml}[form]
    try:
        yield from reader(path, settings.model_copy(update={"format": form}), where, columns)
    except (pa.ArrowException, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise SourceError(f"{where} cannot be read as {form}: it is damaged or of another format ({error}).") from None


def _guess(where: str) -> Format:
    suffixes = [suffix.lower() for suffix in Path(where.partition("?")[0]).suffixes]
    for suffix in reversed(suffixes):
        if suffix in SUFFIXES:
            return SUFFIXES[suffix]
    raise UnreadableTable(f"{where} does not tell its format by its name.", "format")


def _pick(names: Sequence[str], columns: dict[str, str | int], where: str) -> dict[str, str]:
    """The file's name of each wanted column."""
    missing = [c for c in columns.values() if (c >= len(names) if isinstance(c, int) else c not in names)]
    if missing:
        raise UnreadableTable(
            f"{where} has no column {', '.join(map(repr, missing))}. It has {len(names)}: "
            f"{', '.join(f'{place} {name!r}' for place, name in enumerate(names[:30]))}.",
            "columns",
        )
    return {ours: names[theirs] if isinstance(theirs, int) else theirs for ours, theirs in columns.items()}


@contextlib.contextmanager
def _stream(path: Path, where: str) -> Iterator[IO[bytes]]:
    """The bytes of a file, decompressed where its name (as the source gives it) says so."""
    import fsspec
    from fsspec.utils import infer_compression

    with fsspec.open(str(path), "rb", compression=infer_compression(where)) as stream:
        yield stream


def _csv(path: Path, settings: TableSettings, where: str, columns: Any) -> Iterator["pa.Table"]:
    import pyarrow as pa

    bad: list[str] = []

    def refuse(row: Any) -> str:
        bad.append(f"row {row.number} has {row.actual_columns} columns where {row.expected_columns} are expected")
        return "error"

    _say_broken_quotes(path, settings, where)
    try:
        with _stream(path, where) as stream:
            names = _pick(_open_csv(stream, settings, refuse).schema.names, columns, where)
        with _stream(path, where) as stream:
            for batch in _open_csv(stream, settings, refuse, list(dict.fromkeys(names.values()))):
                yield pa.table({ours: batch.column(theirs) for ours, theirs in names.items()})
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        if bad:
            raise UnreadableTable(f"{where}: {bad[0]}.", "separators") from None
        _say_undecodable(path, settings.encoding, where)
        raise SourceError(f"{where} cannot be read as {settings.format}: {str(error).splitlines()[0][:120]}.") from None


def _say_broken_quotes(path: Path, settings: TableSettings, where: str) -> None:
    """Raise SourceError with the line of the first row whose quotes are broken.

    Arrow takes all that follows an open quote, up to the next one or the end of the file, for a single text and says
    nothing. This is a pass of its own, of some 100 MB/s.
    """
    quote = _quote(settings)
    if not quote:
        return
    before = csv.field_size_limit(BLOCK)
    try:
        with _stream(path, where) as stream:
            text = io.TextIOWrapper(stream, settings.encoding, "surrogateescape", newline="")
            rows, line = csv.reader(text, delimiter=_delimiter(settings), quotechar=quote, strict=True), 0
            try:
                for _ in rows:
                    line = rows.line_num
            except csv.Error as error:
                raise UnreadableTable(
                    f"{where}: the row that begins in line {line + 1} has broken quotes (csv says: {error}).", "quote"
                ) from None
    finally:
        csv.field_size_limit(before)


def _quote(settings: TableSettings) -> str:
    return settings.quote if settings.quote is not None else ('"' if settings.format == "csv" else "")


def _delimiter(settings: TableSettings) -> str:
    return settings.delimiter or ("," if settings.format == "csv" else "\t")


def _open_csv(stream: IO[bytes], settings: TableSettings, refuse: Any, only: list[str] | None = None) -> Any:
    import pyarrow as pa
    from pyarrow.csv import ConvertOptions, ParseOptions, ReadOptions, open_csv

    quote = _quote(settings)
    return open_csv(
        stream,
        ReadOptions(
            use_threads=False,  # or the number of a bad row is not told
            block_size=BLOCK,
            autogenerate_column_names=not settings.header,
            skip_rows_after_names=settings.skip,
            encoding="utf8" if settings.encoding == "utf-8" else settings.encoding,
        ),
        ParseOptions(
            delimiter=_delimiter(settings),
            quote_char=quote or False,
            newlines_in_values=bool(quote),
            invalid_row_handler=refuse,
        ),
        ConvertOptions(include_columns=only, column_types=dict.fromkeys(only or [], pa.string())),
    )


def _say_undecodable(path: Path, encoding: str, where: str) -> None:
    """Raise SourceError with the first line that is not of the encoding, if there is one."""
    if encoding.startswith(("utf-16", "utf-32")):
        raise UnreadableTable(f"{where} is not {encoding}.", "encoding")
    with _stream(path, where) as stream:
        for number, line in enumerate(stream, start=1):
            try:
                line.decode(encoding)
            except UnicodeDecodeError as error:
                raise UnreadableTable(
                    f"{where}: line {number} is not {encoding} (byte 0x{line[error.start]:02x}, place {error.start}).",
                    "encoding",
                ) from None


def _jsonl(path: Path, settings: TableSettings, where: str, columns: Any) -> Iterator["pa.Table"]:
    import pyarrow as pa

    places = [column for column in columns.values() if isinstance(column, int)]
    if places:
        raise SourceError(f"{where} is jsonl, whose columns have names but no places; `columns:` gives {places}.")
    seen: set[str] = set()
    rows: list[dict[str, Any]] = []
    with _stream(path, where) as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            row = _json_row(line, settings.encoding, f"{where}: line {number}")
            seen.update(row)
            rows.append({ours: _plain(row.get(theirs)) for ours, theirs in columns.items()})
            if len(rows) == CHUNK:
                yield pa.Table.from_pylist(rows, schema=_json_schema(rows, columns))
                rows = []
    if not seen:
        return
    _pick(sorted(seen), columns, where)
    yield pa.Table.from_pylist(rows, schema=_json_schema(rows, columns))


def _json_row(line: bytes, encoding: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line.decode("utf-8-sig" if encoding == "utf-8" else encoding))
    except UnicodeDecodeError:
        raise UnreadableTable(f"{where} is not {encoding}.", "encoding") from None
    except ValueError as error:
        raise SourceError(f"{where} is no JSON ({getattr(error, 'msg', 'too long a number')}).") from None
    if not isinstance(row, dict):
        raise SourceError(f"{where} is no JSON object but {type(row).__name__}.")
    return row


def _plain(value: Any) -> Any:
    """Lists stay, everything else becomes text; a half of a surrogate pair cannot be stored."""
    if value is None or isinstance(value, list):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _json_schema(rows: list[dict[str, Any]], columns: Any) -> "pa.Schema":
    import pyarrow as pa

    listed = [name for name in LISTS if any(isinstance(row.get(name), list) for row in rows)]
    return pa.schema([(name, column_type(name) if name in listed else pa.string()) for name in columns])


def _parquet(path: Path, _settings: TableSettings, where: str, columns: Any) -> Iterator["pa.Table"]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        names = _pick(file.schema_arrow.names, columns, where)
        for batch in file.iter_batches(batch_size=CHUNK, columns=list(dict.fromkeys(names.values()))):
            yield pa.table({ours: batch.column(theirs) for ours, theirs in names.items()})


def _yaml(path: Path, settings: TableSettings, where: str, columns: Any) -> Iterator["pa.Table"]:
    from tasks.sources.documents import rows

    with _stream(path, where) as stream:
        yield rows(stream, settings.encoding, settings.rows_of, columns, where)


def _strings(values: "pa.Array", where: str) -> "pa.Array":
    import pyarrow as pa

    try:
        return values.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise UnreadableTable(f"{where}: a column of {values.type} cannot be taken as text.", "columns") from None


def _ratings(values: "pa.Array", where: str) -> "pa.Array":
    """Lists of numbers, or JSON lists in the cells of a text column; a number alone is a list of one."""
    import pyarrow as pa

    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        return pa.array([None if cell is None else [cell] for cell in values.to_pylist()], pa.list_(pa.float32()))
    if not pa.types.is_string(values.type) and not pa.types.is_large_string(values.type):
        return values.cast(pa.list_(pa.float32()))
    cells = values.to_pylist()
    try:
        parsed = json.loads("[" + ",".join(cell or "null" for cell in cells) + "]", parse_constant=_no_number)
        if len(parsed) == len(cells):
            parsed = [[cell] if type(cell) in (int, float) else cell for cell in parsed]
            return pa.array(parsed, type=pa.list_(pa.float32()))
    except (ValueError, pa.ArrowException):
        pass
    bad = next(place for place, cell in enumerate(cells) if not _is_ratings(cell))
    raise SourceError(f"{where}: a cell of `ratings` (row {bad} of its chunk) is no JSON list of numbers, as [3, -1].")


def _is_ratings(cell: str | None) -> bool:
    try:
        value = json.loads(cell or "null", parse_constant=_no_number)
    except ValueError:
        return False
    return (
        value is None
        or type(value) in (int, float)
        or (isinstance(value, list) and all(type(number) in (int, float) for number in value))
    )


def _votes(values: "pa.Array", where: str) -> "pa.Array":
    """Lists of objects with `who` and `label`, or the same as JSON in the cells of a text column."""
    import pyarrow as pa

    from tasks.rows import VOTES

    if not pa.types.is_string(values.type) and not pa.types.is_large_string(values.type):
        try:
            return values.cast(VOTES)
        except pa.ArrowException:
            raise SourceError(f"{where}: `votes` of type {values.type} are no lists of `who` and `label`.") from None
    return pa.array([_vote_list(cell, row, where) for row, cell in enumerate(values.to_pylist())], VOTES)


def _vote_list(cell: str | None, row: int, where: str) -> list[dict[str, str]] | None:
    try:
        votes = json.loads(cell or "null")
    except ValueError:
        votes = 0
    if votes is None or (isinstance(votes, list) and all(map(_is_vote, votes))):
        return votes
    raise SourceError(
        f"{where}: a cell of `votes` (row {row} of its chunk) is no JSON list of who said which label, as "
        '[{"who": "a1", "label": "good"}].'
    )


def _is_vote(vote: Any) -> bool:
    return isinstance(vote, dict) and all(isinstance(vote.get(name), str) for name in ("who", "label"))


def _no_number(name: str) -> float:
    raise ValueError(name)


def _times(values: "pa.Array", where: str) -> "pa.Array":
    """Times as they are, or text: ISO 8601 (without a zone taken as UTC), or seconds since 1970 of 9 or 10 digits."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_string(values.type):
        known = pc.if_else(pc.equal(values, ""), None, values)
        if pc.all(pc.match_substring_regex(known, r"^\d{9,10}$"), min_count=1).as_py():
            return known.cast(pa.int64()).cast(pa.timestamp("s", tz="UTC")).cast(pa.timestamp("us", tz="UTC"))
    try:
        times = pd.to_datetime(
            values.to_pandas(), utc=True, format="ISO8601" if pa.types.is_string(values.type) else None
        )
    except (ValueError, TypeError):
        raise SourceError(f"{where}: `created_at` is no time as 2026-05-01T12:30:00Z in every row.") from None
    return pa.Array.from_pandas(times, type=pa.timestamp("us", tz="UTC"))
