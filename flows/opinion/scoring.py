"""Headlines of the feeds: matched with entities, scored by the releases of the product's lines, and kept."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from flows import registry
from flows.champion import champion
from serving.batch import scored
from serving.log.rows import microseconds
from tasks import inbox
from tasks.bundle import release_id
from tasks.core.errors import SettingsError, TidegateError
from tasks.core.line import Line
from tasks.inference import Model
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


@dataclass(frozen=True)
class Scorer:
    """The releases of a product's lines, loaded."""

    settings: OpinionSettings
    sentiment: Model
    release: str
    topic: Model | None

    @classmethod
    def load(cls, settings: OpinionSettings) -> "Scorer":
        """The champions, or where a line has none its newest release; in the variant that is asked for where it has it.

        Raises TidegateError where a line has no release, SettingsError for labels without a worth.
        """
        folder = _released(settings.sentiment)
        sentiment = _model(folder, settings.variant)
        topic = _model(_released(settings.topic), settings.variant) if settings.topic else None
        labels, values = sentiment.signature.labels, settings.index.values
        if missing := [label for label in labels if label not in values]:
            raise SettingsError(f"index.values says no worth of {', '.join(missing)}, labels of {settings.sentiment}.")
        if settings.index.negative not in labels:
            raise SettingsError(f"index.negative must be one of {', '.join(labels)}, labels of {settings.sentiment}.")
        return cls(settings, sentiment, release_id(folder), topic)

    def rows(self, chosen: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Headlines (id, time, feed, text, split_key) with label, score, topic and release."""
        texts = [row["text"] for row in chosen]
        found = _probabilities(self.sentiment, texts)
        labels = self.sentiment.signature.labels
        scores = found @ np.array([self.settings.index.values[label] for label in labels], np.float32)
        best = found.argmax(axis=1)
        topics = [""] * len(texts)
        if self.topic is not None:
            names = self.topic.signature.labels
            topics = [names[n] for n in _probabilities(self.topic, texts).argmax(axis=1)]
        return [
            {**row, "label": labels[n], "score": float(score), "topic": topic, "release": self.release}
            for row, n, score, topic in zip(chosen, best, scores, topics, strict=True)
        ]


def take(store: Store, batch: Path, scorer: Scorer, now: datetime) -> Counts:
    """Keep what a batch of the inbox says of the product's entities; what is kept already is not scored again."""
    counts, matcher, settings = Counts(), Matcher(scorer.settings.entities), scorer.settings
    for rows in _chunks(batch):
        told, chosen, named = _chosen(rows, settings, matcher, now)
        known = store.of_headlines([row["id"] for row in chosen])
        fresh = [row for row in chosen if row["id"] not in known]
        kept = store.add(scorer.rows(fresh), named, settings.index.copies_hours) if fresh else 0
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


def _probabilities(model: Model, texts: Sequence[str]) -> Any:
    """[headlines, labels]; whether a headline is in the model's scope is not asked."""
    return scored(model, texts)[:, : len(model.signature.labels)]


def _released(line: str) -> Path:
    found = champion(Line(line))
    if found is not None:
        return found
    try:
        return registry.find(Line(line))
    except TidegateError as error:
        raise TidegateError(f"{error} `tidegate run {line}` makes a release of the line.") from None


def _model(folder: Path, variant: str | None) -> Model:
    from tasks.inference import read_signature

    known = read_signature(folder / "signature.json").variants
    return Model.load(folder, variant if variant in known else None)
