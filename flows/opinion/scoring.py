"""Headlines of the feeds: matched with entities, scored by the releases of the product's lines, and kept."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from flows.opinion.scorer import Scorer
from serving.log.rows import microseconds
from tasks import inbox
from tasks.opinion.entities import Matcher
from tasks.opinion.settings import OpinionSettings
from tasks.opinion.store import Store

CHUNK = 5_000
"""Headlines that are scored and kept together."""
SLACK = timedelta(hours=1)
"""By which the clock of a feed may be ahead; what is dated later came now."""


class Counts(NamedTuple):
    """What became of headlines."""

    read: int = 0
    without_text: int = 0
    other_language: int = 0
    named_nobody: int = 0
    kept: int = 0
    future: int = 0

    def plus(self, other: "Counts") -> "Counts":
        """Both together."""
        return Counts(*(a + b for a, b in zip(self, other, strict=True)))


def take(store: Store, batch: Path, scorer: Scorer, now: datetime) -> Counts:
    """Keep what a batch of the inbox says of the product's entities; what is kept already is not scored again.

    A copy says what the headline says that it repeats.
    """
    counts, matcher, settings = Counts(), Matcher(scorer.settings.entities), scorer.settings
    hours = settings.index.copies_hours
    for rows in _chunks(batch):
        told, chosen, named = _chosen(rows, settings, matcher, now)
        known = store.of_headlines([row["id"] for row in chosen])
        fresh = [row for row in chosen if row["id"] not in known]
        copied = store.copied(fresh, hours)
        said = scorer.rows([row for row in fresh if row["id"] not in copied])
        said += [{**row, **copied[row["id"]]} for row in fresh if row["id"] in copied]
        kept = store.add(said, named, hours)
        counts = counts.plus(told._replace(kept=kept))
    store.done(batch.stem)
    return counts


def _chosen(
    rows: list[dict[str, Any]], settings: OpinionSettings, matcher: Matcher, now: datetime
) -> tuple[Counts, list[dict[str, Any]], dict[str, list[str]]]:
    """Of a batch's rows those that name an entity, in a language that the lines know, and whom they name."""
    with_text = [row for row in rows if row["text"] and not row["text"].isspace()]
    named = [(row, found) for row in with_text if (found := matcher.find(row["text"]))]
    known = _in_known_language([row["text"] for row, _ in named], settings)
    chosen, whom, future = [], {}, 0
    for (row, found), good in zip(named, known, strict=True):
        if not good:
            continue
        time, late = row["created_at"], False
        late = time is not None and time > now + SLACK
        future += late
        head = f"{row['source']}-{row['id'] or row['row_key']}"
        moment = now if time is None or late else time
        chosen.append(
            {"id": head, "time": microseconds(moment), "feed": row["source"], "text": row["text"],
             "split_key": row["split_key"]}
        )  # fmt: skip
        whom[head] = found
    told = Counts(len(rows), len(rows) - len(with_text), known.count(False), len(with_text) - len(named), 0, future)
    return told, chosen, whom


def _in_known_language(texts: list[str], settings: OpinionSettings) -> list[bool]:
    """Whether each is in a language of the product; what nobody can tell counts as such."""
    if not settings.languages:
        return [True] * len(texts)
    from tasks.languages import UNKNOWN, detect

    return [one.code in (*settings.languages, UNKNOWN) for one in detect(texts)]


def _chunks(batch: Path) -> Iterator[list[dict[str, Any]]]:
    with inbox.opened(batch) as file:
        for rows in file.iter_batches(CHUNK, columns=["id", "text", "source", "created_at", "split_key", "row_key"]):
            yield rows.to_pylist()
