"""The two windows of a look: live traffic streamed from the prediction log, and the rows that a release brings."""

import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from serving.log import projection, read
from serving.log.descriptors import describe
from serving.log.read import Chunk
from serving.log.rows import when
from serving.served import out_of_scope
from tasks import kinds
from tasks.bundle import read_manifest
from tasks.core.files import read_parquet
from tasks.drift.tallies import Tallies
from tasks.drift.window import Window

_HASH = re.compile("[0-9a-f]{64}")  # what serving.log.text: hmac keeps instead of a text


@dataclass(frozen=True)
class Reference:
    """The rows that a release brings, with the answers of a variant."""

    window: Window
    """Of the validation and the test side."""
    projected_by: str
    """How its embeddings were projected, as the log names it."""
    right: int
    judged: int
    """Rows of the test side, and of them those that it answered right."""
    out_of_scope: str | None = None
    """What people call a text that has none of the labels."""


def reference(bundle: Path, variant: str, width: int, sample_rows: int, seed: int) -> Reference:
    """Read a release's reference; at most `sample_rows` of its rows, drawn at random, make the window."""
    rows = read_parquet(bundle / "reference/rows.parquet")
    answers = read_parquet(bundle / f"reference/{variant}.parquet")
    right = (rows["label"] == answers["predicted"])[rows["side"] == "test"]
    if len(rows) > sample_rows:
        places = np.sort(np.random.default_rng(seed).choice(len(rows), sample_rows, replace=False))
        rows, answers = rows.iloc[places], answers.iloc[places]
    manifest = read_manifest(bundle)
    texts = [kinds.load(manifest.kind, "rows").asked(text) for text in rows["text"]]
    about = describe(texts)
    embeddings = np.stack(answers["embedding"].tolist()).astype(np.float32)
    window = Window(
        text=texts,
        label=answers["predicted"].tolist(),
        probabilities=np.stack(answers["probabilities"].tolist()).astype(np.float32),
        projection=projection.project(embeddings, width).astype(np.float32),
        characters=np.array(about.characters, np.int32),
        words=np.array(about.words, np.int32),
        non_letters=np.array(about.non_letters, np.float32),
        script=about.script,
        script_share=np.array(about.script_share, np.float32),
        true_label=rows["label"].tolist(),
    )
    return Reference(
        window,
        projection.name(embeddings.shape[1], width),
        int(right.sum()),
        len(right),
        out_of_scope(manifest),
    )


@dataclass
class Current:
    """What was streamed of the current window."""

    rows: int = 0
    labelled: int = 0
    right: int = 0
    """Of the labelled rows those that the model answered so."""
    requests: int = 0
    first: datetime | None = None
    last: datetime | None = None
    """When the first and the last request came, UTC; None where there is none."""
    sample: Window | None = None
    """Rows evenly over the window, at most as many as were asked for; None where there are none."""
    lists: int = 0
    """Rows that were given a list."""
    latencies: list[NDArray[np.float32]] = field(default_factory=list)

    def latency(self, share: float) -> float | None:
        """A quantile over the rows, in ms."""
        return round(float(np.quantile(np.concatenate(self.latencies), share)), 2) if self.latencies else None

    def count(self, chunk: Chunk) -> None:
        """Take in what the next rows tell."""
        pairs = [(true, said) for true, said in zip(chunk.true_label, chunk.label, strict=True) if true is not None]
        self.rows += len(chunk)
        self.labelled += len(pairs)
        self.right += sum(true == said for true, said in pairs)
        self.requests += int((chunk.position == 0).sum())
        self.first = self.first or _utc(chunk.time[0])
        self.last = _utc(chunk.time[-1])
        self.latencies.append(chunk.latency_ms)
        self.lists += sum(listed is not None for listed in chunk.listed)


@dataclass(frozen=True)
class Span:
    """Which rows of the prediction log a look is at: those that a release answered in a time, or the last of them."""

    line: str
    release: str
    since: datetime | None
    until: datetime
    last: int | None = None


def stream(engine: Engine, span: Span, known: Reference, tallies: Tallies, sample_rows: int, seed: int) -> Current:
    """Read the window once, chunk by chunk: all rows are counted into `tallies`, some are kept.

    The kept rows are drawn one from each of `sample_rows` stretches of equal size, so that every hour has its share.
    """
    expected = read.count(engine, span.line, span.since, span.until, release=span.release)
    expected = expected if span.last is None else min(expected, span.last)
    places = _places(expected, sample_rows, seed)
    current, kept = Current(), []
    for chunk in read.window(engine, span.line, span.since, span.until, span.last, release=span.release):
        chunk = _judgeable(chunk, known.out_of_scope)
        window = as_window(chunk, known)
        tallies.add(window)
        inside = places[(places >= current.rows) & (places < current.rows + len(chunk))] - current.rows
        if len(inside):
            kept.append(window.take(inside))
        current.count(chunk)
    current.sample = Window.joined(kept) if kept else None
    return current


def others(engine: Engine, span: Span, current: Current) -> int:
    """Rows of the same time that other releases answered."""
    since = span.since or current.first
    return read.count(engine, span.line, since, span.until) - current.rows if since else 0


def _judgeable(chunk: Chunk, strange: str | None) -> Chunk:
    """The chunk without true labels out of scope: accuracy is that of the labels, as it is of the reference."""
    known = [None if true == strange else true for true in chunk.true_label]
    return chunk if strange is None else replace(chunk, true_label=known)


def as_window(chunk: Chunk, known: Reference) -> Window:
    """A chunk of the log as a window. Hashes are no texts; a projection that was made otherwise is NaN."""
    alike = np.array([name == known.projected_by for name in chunk.projected_by])
    comparable = np.full((len(chunk), known.window.projection.shape[1]), np.nan, np.float32)
    if alike.any():
        comparable[alike] = chunk.projection[alike, : comparable.shape[1]]
    return Window(
        text=[None if text is None or _HASH.fullmatch(text) else text for text in chunk.text],
        label=chunk.label,
        probabilities=chunk.probabilities,
        projection=comparable,
        characters=chunk.characters,
        words=chunk.words,
        non_letters=chunk.non_letters,
        script=chunk.script,
        script_share=chunk.script_share,
        true_label=chunk.true_label,
    )


def _places(rows: int, wanted: int, seed: int) -> NDArray[np.int64]:
    """One place of each of `wanted` stretches of equal size; every place where there are no more than these."""
    if rows <= wanted:
        return np.arange(rows, dtype=np.int64)
    edges = np.arange(wanted + 1, dtype=np.int64) * rows // wanted
    drawn = np.random.default_rng(seed).random(wanted) * np.diff(edges)
    return edges[:-1] + drawn.astype(np.int64)


def _utc(time: np.datetime64) -> datetime:
    return when(int(time.astype("datetime64[us]").astype(np.int64)))
