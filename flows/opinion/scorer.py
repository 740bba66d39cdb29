"""What the lines of a product say of headlines: each distinct text once, cleaned once, one piece of work per core."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from flows import registry
from flows.champion import champion
from serving.batcher import cores
from tasks.bundle import release_id
from tasks.core.errors import SettingsError, TidegateError
from tasks.core.files import read_json
from tasks.core.line import Line
from tasks.inference import Model, read_signature
from tasks.opinion.settings import OpinionSettings

PORTION = 128
"""Texts of like length that a core scores in one go: enough to fill batches, few enough to share out evenly."""


class Judged(NamedTuple):
    """What the lines say of one text."""

    label: str
    score: float
    """From -1 to 1."""
    topic: str
    """"" without a topic line."""
    release: str
    """That gave the label."""


@dataclass(frozen=True)
class Scorer:
    """The releases of a product's lines, loaded, each to compute on one core: the cores share out the texts.

    Cores that share one matrix product wait for each other at every step of it, and on a busy machine they wait long.
    """

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
        sentiment, topic = _model(folder, settings.variant), None
        if settings.topic:
            its = _released(settings.topic)
            topic = _model(its, settings.variant)
            if _policy(its) == _policy(folder):
                topic = replace(topic, clean=sentiment.clean)
        labels, values = sentiment.signature.labels, settings.index.values
        if missing := [label for label in labels if label not in values]:
            raise SettingsError(f"index.values says no worth of {', '.join(missing)}, labels of {settings.sentiment}.")
        if settings.index.negative not in labels:
            raise SettingsError(f"index.negative must be one of {', '.join(labels)}, labels of {settings.sentiment}.")
        return cls(settings, sentiment, release_id(folder), topic)

    def rows(self, chosen: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Headlines (id, time, feed, text, split_key) with label, score, topic and release."""
        said = self.judged({row["text"] for row in chosen})
        return [{**row, **said[row["text"]]._asdict()} for row in chosen]

    def judged(self, texts: Iterable[str]) -> dict[str, Judged]:
        """What is said of each distinct text, the same in whatever order they come."""
        longest = sorted(texts, key=lambda text: (-len(text), text))
        portions = [longest[at : at + PORTION] for at in range(0, len(longest), PORTION)]
        with ThreadPoolExecutor(cores()) as pool:
            return {text: one for part in pool.map(self._portion, portions) for text, one in part.items()}

    def _portion(self, texts: Sequence[str]) -> dict[str, Judged]:
        """Whether a headline is in the models' scope is not asked."""
        cleaned: dict[Callable[[str], str] | None, Sequence[str]] = {None: texts}

        def probabilities(model: Model) -> Any:
            if (clean := model.clean) not in cleaned:
                cleaned[clean] = [clean(text) for text in texts] if clean else texts
            return model.predict(cleaned[clean], cleaned=True).probabilities

        found, labels = probabilities(self.sentiment), self.sentiment.signature.labels
        scores = found @ np.array([self.settings.index.values[label] for label in labels], np.float32)
        topics = [""] * len(texts)
        if self.topic is not None:
            topics = [self.topic.signature.labels[n] for n in probabilities(self.topic).argmax(axis=1)]
        return {
            text: Judged(labels[n], float(score), topic, self.release)
            for text, n, score, topic in zip(texts, found.argmax(axis=1), scores, topics, strict=True)
        }


def _released(line: str) -> Path:
    found = champion(Line(line))
    if found is not None:
        return found
    try:
        return registry.find(Line(line))
    except TidegateError as error:
        raise TidegateError(f"{error} `tidegate run {line}` makes a release of the line.") from None


def _model(folder: Path, variant: str | None) -> Model:
    known = read_signature(folder / "signature.json").variants
    return Model.load(folder, variant if variant in known else None, threads=1)


def _policy(folder: Path) -> Any:
    """What a release does to a text before it reads it."""
    path = folder / "text_policy.json"
    return read_json(path) if path.exists() else None
