"""The two windows of a look: live traffic streamed from the prediction log, and the rows that a release brings."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from serving.log import projection, read
from serving.log.descriptors import describe
from serving.log.read import Chunk
from tasks.core.files import read_parquet
from tasks.drift.tallies import Tallies
from tasks.drift.window import Window

SKEW = timedelta(minutes=5)
"""Clocks of machines differ by less; a row later than that bears a wrong time."""


def reference(bundle: Path, variant: str, width: int) -> Window:
    """The validation and test rows that a release brings, with the answers of a variant, embeddings cut to `width`."""
    rows = read_parquet(bundle / "reference/rows.parquet")
    answers = read_parquet(bundle / f"reference/{variant}.parquet")
    texts: list[str] = rows["text"].tolist()
    about = describe(texts)
    embeddings = np.stack(answers["embedding"].tolist()).astype(np.float32)
    return Window(
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


def judged(bundle: Path, variant: str) -> tuple[int, int]:
    """Of a release's test rows: how many it answers right, and how many there are."""
    rows = read_parquet(bundle / "reference/rows.parquet", ["label", "side"])
    answers = read_parquet(bundle / f"reference/{variant}.parquet", ["predicted"])
    test = (rows["side"] == "test").to_numpy()
    return int((rows["label"] == answers["predicted"]).to_numpy()[test].sum()), int(test.sum())


@dataclass
class Current:
    """What was streamed of the current window."""

    sample: Window | None = None
    """Rows evenly over the window, at most as many as were asked for; None where there are none."""
    rows: int = 0
    others: int = 0
    """Rows of other releases, which are not looked at."""
    labelled: int = 0
    right: int = 0
    requests: int = 0
    first: datetime | None = None
    last: datetime | None = None
    latencies: list[NDArray[np.float32]] = field(default_factory=list)

    def latency(self, share: float) -> float | None:
        """A quantile over the rows, in ms."""
        return round(float(np.quantile(np.concatenate(self.latencies), share)), 2) if self.latencies else None


def stream(
    engine: Engine, line: str, release: str, tallies: Tallies, sample_rows: int, seed: int,
    since: datetime | None, until: datetime, last: int | None,
) -> Current:  # fmt: skip
    """Read the window once, chunk by chunk: all rows are counted into `tallies`, some are kept.

    The kept rows are drawn one from each of `sample_rows` stretches of equal size, so that every hour has its share.
    """
    expected = read.count(engine, line, since, until)
    expected = expected if last is None else min(expected, last)
    places = _places(expected, sample_rows, seed)
    current, kept, seen = Current(), [], 0
    for chunk in read.window(engine, line, since, until, last):
        inside = places[(places >= seen) & (places < seen + len(chunk))] - seen
        seen += len(chunk)
        ours = np.array([one == release for one in chunk.release])
        current.others += int((~ours).sum())
        if ours.any():
            window = as_window(chunk)
            tallies.add(window if ours.all() else window.take(np.flatnonzero(ours)))
            kept.append(window.take(inside[ours[inside]]))
            _count(current, chunk, ours)
    current.sample = _joined([part for part in kept if len(part)])
    return current


def as_window(chunk: Chunk) -> Window:
    """A chunk of the log as a window; answers outside the release's labels have NaN behind."""
    return Window(
        text=chunk.text,
        label=chunk.label,
        probabilities=chunk.probabilities,
        projection=chunk.projection,
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


def _count(current: Current, chunk: Chunk, ours: NDArray[np.bool_]) -> None:
    places = np.flatnonzero(ours)
    pairs = [(chunk.true_label[n], chunk.label[n]) for n in places]
    times = chunk.time[places].astype("datetime64[us]").astype(datetime)
    current.rows += len(places)
    current.labelled += sum(true is not None for true, _ in pairs)
    current.right += sum(true == said for true, said in pairs)
    current.requests += int((chunk.position[places] == 0).sum())
    current.first = current.first or times[0]
    current.last = times[-1]
    current.latencies.append(chunk.latency_ms[places])


def _joined(parts: Sequence[Window]) -> Window | None:
    if not parts:
        return None
    names = list(Window.__dataclass_fields__)
    return Window(**{name: _concatenated([getattr(part, name) for part in parts]) for name in names})


def _concatenated(columns: Sequence[Any]) -> Any:
    if not isinstance(columns[0], np.ndarray):
        return [value for column in columns for value in column]
    arrays = [np.asarray(column) for column in columns]
    if arrays[0].ndim == 1:
        return np.concatenate(arrays)
    width = max(array.shape[1] for array in arrays)
    return np.concatenate([_widened(array, width) for array in arrays])


def _widened(array: NDArray[np.generic], width: int) -> NDArray[np.generic]:
    """NaN behind rows of another width: an earlier setting of the log."""
    more = width - array.shape[1]
    return np.pad(array.astype(np.float32), ((0, 0), (0, more)), constant_values=np.nan) if more else array
