"""Where copies of a text are: a search through outputs, caches and releases for what is to be forgotten."""

import html
import json
import mmap
from collections.abc import Iterator
from pathlib import Path

from tasks.forgotten import Subject

SHORT = 20
"""A text of fewer characters may stand in another by chance: it counts only by itself, in quotes or an element."""
_PARQUET = b"PAR1"
_ZIP = b"PK\x03\x04"
_CHUNK_ROWS = 50_000


def holding(folder: Path, subject: Subject, skip: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """The files below a folder that hold the text of a subject; `skip` names folders and files to leave out."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path in skip or path.is_symlink():
            continue
        if path.is_dir():
            yield from holding(path, subject, skip)
        elif path.is_file() and holds(path, subject):
            yield path


def holds(path: Path, subject: Subject) -> bool:
    """Whether a file holds the text: a parquet file with a column `text`, a base of answers, or a file of text.

    Others cannot be told.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(1024)
        if start.startswith(_PARQUET):
            return _in_parquet(path, subject)
        if start.startswith(_ZIP):
            return _in_base(path, subject)
        return bool(start) and b"\0" not in start and _in_text(path, subject)
    except FileNotFoundError:  # gone meanwhile
        return False


def _in_parquet(path: Path, subject: Subject) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = [name for name in ("id", "text", "split_key") if name in file.schema_arrow.names]
            if "text" not in names:
                return False
            tables = (pa.table(batch) for batch in file.iter_batches(_CHUNK_ROWS, columns=names))
            return any(any(subject.rows(table)) for table in tables)
    except pa.ArrowInvalid:
        return False


def _in_base(path: Path, subject: Subject) -> bool:
    import pyarrow as pa

    from tasks import search
    from tasks.core.errors import StageError

    try:
        base = search.read(path)
    except StageError:  # another archive
        return False
    return any(subject.rows(pa.table({"id": base.ids, "text": base.texts})))


def _in_text(path: Path, subject: Subject) -> bool:
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return any(content.find(needle) >= 0 for text in subject.texts for needle in _written(text))


def _written(text: str) -> set[bytes]:
    """A text as JSON, HTML and plain files have it."""
    from markupsafe import escape

    quoted = [json.dumps(text, ensure_ascii=plain) for plain in (True, False)]
    escaped = [html.escape(text), html.escape(text, quote=False), str(escape(text))]
    if len(text) < SHORT:
        forms = [*quoted, *(f">{form}<" for form in escaped)]
    else:
        forms = [text, *escaped, *(form[1:-1] for form in quoted)]
    return {form.encode("utf-8", "replace") for form in forms}
