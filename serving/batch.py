"""Batch scoring: a file of texts labelled by a release, in bounded memory, going on where an earlier run was killed."""

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from serving.tables import Table, table
from tasks.bundle import load_release, read_manifest, release_id
from tasks.core.errors import BusyError, DataError
from tasks.core.files import atomic, read_json, sha256, write_json
from tasks.core.progress import progress
from tasks.inference import Model
from tasks.kinds import load
from tasks.kinds.common.serve import named

log = logging.getLogger("tidegate")

CHUNK_ROWS = 10_000  # rows in memory at once; also what a killed run loses at most


@dataclass(frozen=True)
class Summary:
    """What was done; as text, one line for people."""

    output: Path
    rows: int
    without_text: int
    reused: int
    variant: str
    release: str

    def __str__(self) -> str:
        reused = f", {self.reused:,} of them scored by an earlier run" if self.reused else ""
        empty = f"; {self.without_text:,} without a text got no prediction" if self.without_text else ""
        return f"{self.output}: {self.rows:,} rows{reused}, release {self.release} ({self.variant}){empty}."


@dataclass(frozen=True)
class _Job:
    """What the parts of an earlier run must agree with to be used again."""

    input: str
    release: str
    text_column: str
    chunk_rows: int
    variant: str
    kept: int | None = None
    """Labels of each answer that the parts hold, by number before their probabilities; None: probabilities of all."""


def predict_file(
    release_folder: Path,
    source: Path,
    output: Path,
    text_column: str = "text",
    chunk_rows: int = CHUNK_ROWS,
    variant: str | None = None,
    provider: str | None = None,
) -> Summary:
    """Write `output`: the rows and columns of `source`, with label, confidence and one probability per class.

    csv, tsv, jsonl and parquet are read and written, the output as the input. Columns are called `label`, `confidence`
    and `probability_<class>`, all with `predicted_` before them where the source has one of these names. A release that
    knows what is out of scope adds `in_scope` behind `label`, which is no more than its best guess where that is false.
    One that makes lists of items writes the first of them instead of a column for each there is: `listed`, and
    `probabilities` of these, as lists; in csv and tsv as JSON.
    A row without a text gets no prediction and is counted. The whole source is looked through before the first row is
    scored.

    Finished chunks are kept in a folder beside the output until the output stands: a killed run goes on behind them.
    Raises DataError on a source that cannot be read, BusyError where another run writes the same output.
    """
    rows_in = table(source)
    if output.suffix.lower() != source.suffix.lower():
        raise DataError(f"{output} should end in {source.suffix} as {source} does: files are written as they are read.")
    if output.resolve() == source.resolve():
        raise DataError(f"{output} is the source itself. Give another name for the output.")
    load_release(release_folder)
    rows = survey(rows_in, text_column, chunk_rows)
    parts = output.with_name(f".{output.name}.parts")
    with _alone(output):
        job, model = _prepare(parts, rows_in, release_folder, text_column, chunk_rows, variant, provider)
        reused = _score(rows_in, parts, model, job, rows)
        empty = _assemble(rows_in, parts, output, model, job)
        shutil.rmtree(parts)
    return Summary(output, rows, empty, reused, job.variant, job.release)


def survey(rows_in: Table, text_column: str, chunk_rows: int) -> int:
    """Rows of the file, every one of which can be read. Raises DataError when it has none, or not that column."""
    columns = rows_in.columns()
    if text_column not in columns:
        raise DataError(
            f"{rows_in.path} has no column {text_column!r}; it has {', '.join(map(repr, columns))}. "
            "Name the column that holds the texts."
        )
    rows = sum(len(rows_in.texts(chunk, text_column)) for chunk in rows_in.chunks(chunk_rows))
    if not rows:
        raise DataError(f"{rows_in.path} has no rows.")
    return rows


def _prepare(
    parts: Path,
    rows_in: Table,
    release_folder: Path,
    text_column: str,
    chunk_rows: int,
    variant: str | None,
    provider: str | None,
) -> tuple[_Job, Model]:
    """The job and its model. Parts of another job are thrown away; those of this one decide the variant."""
    state = parts / "job.json"
    before = _Job(**read_json(state)) if state.exists() else None
    kept = load(read_manifest(release_folder).kind, "serve").KEPT
    job = _Job(sha256(rows_in.path), release_id(release_folder), text_column, chunk_rows, variant or "", kept)
    same = before is not None and before == replace(job, variant=variant or before.variant)
    model = Model.load(release_folder, before.variant if before and same else variant, provider)
    job = replace(job, variant=model.variant)
    if not same:
        shutil.rmtree(parts, ignore_errors=True)
        write_json(state, asdict(job))
    return job, model


def _score(rows_in: Table, parts: Path, model: Model, job: _Job, rows: int) -> int:
    """Write what the model says of every chunk that has no part yet; return the rows of those that had one."""
    reused = 0
    done = sum(1 for _ in parts.glob("*.npy"))
    with progress("predict", rows, done=min(done * job.chunk_rows, rows)) as bar:
        for chunk, part in _numbered(rows_in, parts, job):
            if part.exists():
                reused += len(rows_in.texts(chunk, job.text_column))
                continue
            texts = rows_in.texts(chunk, job.text_column)
            with atomic(part) as temporary, temporary.open("wb") as stream:
                np.save(stream, scored(model, texts))
            bar.update(len(texts))
    return reused


def scored(model: Model, texts: Sequence[str | None]) -> Any:
    """[rows, classes] probabilities of raw texts, and behind them 1 or 0 for in scope or not, by a model that knows.

    Of lists the numbers of the first labels, and behind them their probabilities. NaN for rows without a text.
    """
    there = [n for n, text in enumerate(texts) if text and not text.isspace()]
    answers = model.kept([texts[n] or "" for n in there])
    known = [] if answers.in_scope is None else [answers.in_scope[:, None]]
    first = [] if answers.listed is None else [answers.listed]
    told = np.hstack([*first, answers.probabilities, *known])
    found = np.full((len(texts), told.shape[1]), np.nan, dtype=told.dtype)
    found[there] = told
    return found


def _assemble(rows_in: Table, parts: Path, output: Path, model: Model, job: _Job) -> int:
    """Write the output from the source and the parts; return the rows without a prediction."""
    labels, scoped = model.signature.labels, bool(model.signature.scope)
    if job.kept is None:
        numbers: dict[str, Any] = dict.fromkeys((f"probability_{label}" for label in labels), float)
    else:
        numbers = {"listed": list[str], "probabilities": list[float]}
    types = {"label": str, **({"in_scope": bool} if scoped else {}), "confidence": float, **numbers}
    kinds = dict(zip(column_names(rows_in.columns(), list(types)), types.values(), strict=True))
    values = _values if job.kept is None else _lists
    empty = 0
    with atomic(output) as temporary, rows_in.writer(temporary, kinds) as writer:
        for chunk, part in _numbered(rows_in, parts, job):
            found = np.load(part, allow_pickle=False)
            empty += int(np.isnan(found[:, 0]).sum())
            writer.write(chunk, dict(zip(kinds, values(found, labels), strict=True)))
    return empty


def column_names(taken: Sequence[str], new: Sequence[str]) -> list[str]:
    """The new columns, all prefixed where the source has one of such a name."""
    prefix = ""
    while any(prefix + name in taken for name in new):
        prefix += "predicted_"
    return [prefix + name for name in new]


def _values(told: Any, labels: Sequence[str]) -> list[list[Any]]:
    """Label, whether in scope where that is known, confidence, and the probabilities of all labels."""
    found, inside = told[:, : len(labels)], told[:, len(labels) :]
    missing = np.isnan(found[:, 0])
    best = np.where(missing[:, None], 0, found).argmax(axis=1)
    chosen = np.array(labels, dtype=object)[best]
    chosen[missing] = None
    known = [[None if np.isnan(v) else bool(v) for v in column] for column in inside.T]
    columns = [found.max(axis=1), *found.T]
    return [list(chosen), *known, *([None if np.isnan(v) else float(v) for v in column] for column in columns)]


def _lists(told: Any, labels: Sequence[str]) -> list[list[Any]]:
    """The first of each list, its probability, the list, and the probabilities of all that is in it."""
    rows: list[tuple[Any, ...]] = []
    for row in told:
        if np.isnan(row[0]):
            rows.append((None, None, None, None))
            continue
        numbers, chances = np.split(row, 2)
        [listed] = named(numbers[None].astype(np.int64), labels)
        shown = [float(f"{chance:.6g}") for chance in chances[: len(listed)]]
        rows.append((listed[0], float(chances[0]), listed, shown))
    return [list(column) for column in zip(*rows, strict=True)]


def _numbered(rows_in: Table, parts: Path, job: _Job) -> Iterator[tuple[Any, Path]]:
    """Each chunk with the file of its part."""
    for number, chunk in enumerate(rows_in.chunks(job.chunk_rows)):
        yield chunk, parts / f"{number:06d}.npy"


@contextmanager
def _alone(output: Path) -> Iterator[None]:
    """Hold a lock on the output; it ends with this process, however that ends."""
    from filelock import FileLock, Timeout

    output.parent.mkdir(parents=True, exist_ok=True)
    lock = output.with_name(f".{output.name}.lock")
    try:
        with FileLock(lock, timeout=0):
            yield
            lock.unlink(missing_ok=True)
    except Timeout:
        raise BusyError(f"Another run is writing {output}. Wait for it, or give another output.") from None
