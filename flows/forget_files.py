"""What `tidegate forget` does about files that commands wrote for people: rows of tables, and pages."""

import csv
import io
import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from flows import label_report, profile, pseudo, suspects, wanted
from flows.traces import holds
from tasks.core.files import atomic
from tasks.forgotten import Subject

TABLES = (suspects.FOLDER, pseudo.FOLDER, wanted.FOLDER)
PAGES = (label_report.FOLDER, profile.FOLDER)


class Files(NamedTuple):
    """What was done."""

    rows: int
    pages: int
    unread: list[Path]
    """Tables that could not be read."""


def from_files(line: str, subject: Subject, request_ids: Collection[str]) -> Files:
    """Take rows out of a line's tables below .tidegate/, and delete its pages that show one of the texts.

    What people filled in beside the other rows stays. A page is made anew by the command that made it.
    """
    rows, unread = 0, []
    for path in _files(TABLES, line):
        try:
            rows += _take_out(path, subject, frozenset(request_ids))
        except (ValueError, csv.Error):
            unread.append(path)
    pages = [path for path in _files(PAGES, line) if holds(path, subject)]
    for path in pages:
        path.unlink()
    return Files(rows, len(pages), unread)


def _files(folders: tuple[Path, ...], line: str) -> Iterator[Path]:
    names = (f"{line}.*", f"{line}-labels.*")  # no line's name has a hyphen
    return (path for folder in folders for name in names for path in sorted(folder.glob(name)))


def _take_out(path: Path, subject: Subject, requests: frozenset[str]) -> int:
    """Write a csv or jsonl anew without the rows that are meant; how many they were. Raises ValueError, csv.Error."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        content = stream.read()
    rows = list(_of_json(content) if path.suffix == ".jsonl" else _of_csv(content))
    kept = [
        written
        for written, row in rows
        if not (row.get("text") in subject.texts or row.get("id") in subject.ids or row.get("request_id") in requests)
    ]
    if len(kept) < len(rows):
        with atomic(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
            stream.writelines(kept)
    return len(rows) - len(kept)


def _of_json(content: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each line as it is written, and what it says."""
    return ((line, json.loads(line)) for line in io.StringIO(content, newline="\n"))


def _of_csv(content: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The same of a csv, its head first. Raises ValueError where no column is called text."""
    head, *rows = csv.reader(io.StringIO(content, newline=""), strict=True)
    if "text" not in head:
        raise ValueError
    yield _line(head), {}
    for row in rows:
        told = dict(zip(head, row, strict=False))
        yield _line(row), {**told, "text": wanted.plain(told.get("text", ""))}


def _line(row: list[str]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerow(row)
    return written.getvalue()
