"""What a user may want next, out of what the ONNX graph makes of a history."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks import calibration, nearest
from tasks.core.errors import StageError
from tasks.kinds.common.serve import Answers
from tasks.kinds.rank.shared import catalogue, history, lists, rankings
from tasks.kinds.rank.shared.catalogue import Catalogue, Floats
from tasks.kinds.rank.shared.history import Indices, Tastes
from tasks.kinds.rank.shared.lists import Listed, Wanted

if TYPE_CHECKING:
    import onnxruntime as ort

    from tasks.inference import Model, Signature

OUTPUTS = ("user", "parts")
"""user [rows, width]: what is multiplied with items; parts [rows, places, width]: its summands."""
KEPT = rankings.TOP
"""Items of an answer that are kept: as many as a list has of itself."""
ROWS = 256  # histories that are computed together
SAMPLED = 8_192  # items that stand for all which an index does not find


@dataclass(frozen=True)
class Answering:
    """The items of a release, and the temperature that makes probabilities of their scores."""

    catalogue: Catalogue
    calibrated: Mapping[str, Any]
    tastes: Tastes
    longest: int
    """Events of a history that are read: the last ones."""
    index: nearest.Large | None = None
    """What proposes items for a list, where they are many."""

    def read(self, session: "ort.InferenceSession", texts: Sequence[str]) -> dict[str, NDArray[Any]]:
        """The graph's `user` [rows, width] for histories; what each gives an item, `scores`; which are `seen` there.

        The latter two are [rows, items].
        """
        users, seen, popular = [], [], []
        for start in range(0, max(1, len(texts)), ROWS):
            parsed = [history.parse(text) for text in texts[start : start + ROWS]]
            told, moments = [events for events, _ in parsed], [moment for _, moment in parsed]
            users.append(session.run(["user"], self.inputs(told))[0])
            seen.append(history.seen(told, self.catalogue.numbers))
            popular.append(self.catalogue.popular(moments))
        user = np.concatenate(users)
        scores = user @ self.catalogue.outward.T + np.concatenate(popular)
        return {"user": user, "scores": scores, "seen": np.concatenate(seen)}

    def inputs(self, histories: Sequence[Sequence[history.Event]]) -> dict[str, NDArray[Any]]:
        """What the graph reads of histories."""
        items, classes = history.arrays(histories, self.catalogue.numbers, self.tastes, self.longest)
        return {"vectors": self.catalogue.inward[items], "classes": classes}

    def __call__(self, outputs: Mapping[str, NDArray[Any]]) -> Answers:
        """The answers for what was read: probabilities over all items, none for those that the user has."""
        every = outputs["seen"].all(axis=1, keepdims=True)  # who has all items is told of them again
        scores = np.where(outputs["seen"] & ~every, -np.inf, outputs["scores"])
        probabilities = calibration.apply(self.calibrated, scores).astype(np.float32)
        names = np.array(self.catalogue.ids, dtype=object)
        return Answers(names[probabilities.argmax(axis=1)], probabilities, _of_length_one(outputs["user"]))

    def listed(
        self, session: "ort.InferenceSession", text: str, top: int, exclude_seen: bool = True, diversity: float = 0.0
    ) -> list[Listed]:
        """The list for one history; from `diversity` 0, the best items, to 1, the most different ones."""
        return self.lists(session, [text], Wanted(top, exclude_seen, diversity))[0][0]

    def lists(
        self, session: "ort.InferenceSession", texts: Sequence[str], wanted: Wanted
    ) -> tuple[list[list[Listed]], Floats]:
        """The list for each history, and the users as embeddings [rows, width].

        Where there is an index, and a list is to be of now, it proposes the items; scores are those of exact search.
        Probabilities are among all items either way.
        """
        found, users = [], []
        for text in texts:
            events, moment = history.parse(text)
            user, parts = session.run(list(OUTPUTS), self.inputs([events]))
            found.append(self._list(user, parts, events, moment, wanted))
            users.append(user)
        return found, _of_length_one(np.concatenate(users))

    def _list(
        self, user: Floats, parts: Floats, events: Sequence[history.Event], moment: float | None, wanted: Wanted
    ) -> list[Listed]:
        items = self.catalogue
        known = [items.numbers[item] for item, _ in events if item in items.numbers]
        most = wanted.top * (lists.CONSIDERED if wanted.diversity else 1)
        best, scores, chances = self._best(user, moment, most, set(known) if wanted.exclude_seen else set())
        chosen = lists.varied(scores, items.outward[best], wanted.top, wanted.diversity)
        read = known[-self.longest :][::-1]
        return [
            Listed(items.ids[at], items.texts[at], chance, lists.reasons(items, parts[0][: len(read)], read, at))
            for at, chance in ((int(best[place]), float(chances[place])) for place in chosen)
        ]

    def _best(
        self, user: Floats, moment: float | None, most: int, gone: set[int]
    ) -> tuple[Indices, Floats, NDArray[np.float64]]:
        """Up to `most` items that are not `gone`, by their numbers, the best first: scores and probabilities."""
        known = bool(user.any())  # an index has no answer to a user of whom nothing is known
        if self.index is not None and moment is None and known:
            query = np.concatenate([user, np.ones((1, 1), np.float32)], axis=1)
            places, found = (part[0] for part in self.index.nearest(query, len(gone) + max(most, nearest.ASKED)))
            left = np.array([at >= 0 and at not in gone for at in places.tolist()], dtype=np.bool_)
            best, scores = places[left], found[left]
            chances = self._among_all(query[0], best, scores, gone)
            return best[:most], scores[:most], chances[:most]
        scores = self.catalogue.popular([moment])[0]
        if known:
            scores += (user @ self.catalogue.outward.T)[0]
        scores[list(gone)] = -np.inf
        most = min(most, len(scores) - len(gone))
        if not most:
            return np.empty(0, np.int64), scores[:0], np.empty(0)
        best = np.argpartition(-scores, most - 1)[:most]
        best = best[np.lexsort((best, -scores[best]))]
        return best, scores[best], calibration.apply(self.calibrated, scores[None])[0][best]

    @cached_property
    def _sample(self) -> tuple[Indices, Floats]:
        """Some items by their numbers, and what a user of now is multiplied with; all where they are no more."""
        sought = self.catalogue.sought
        chosen = np.sort(np.random.default_rng(0).permutation(len(sought))[:SAMPLED])
        return chosen, sought[chosen]

    def _among_all(self, query: Floats, best: Indices, scores: Floats, gone: set[int]) -> NDArray[np.float64]:
        """The probabilities of found items among all that are not `gone`; a sample stands for what was not found.

        The head of the sum in full, its tail by a sample: Mussmann and Ermon 2016, "Learning and inference via maximum
        inner product search".
        """
        if not len(best):
            return np.empty(0)
        chosen, vectors = self._sample
        others = ~np.isin(chosen, [*gone, *best.tolist()])
        stands_for = (len(self.catalogue.ids) - len(gone) - len(best)) / max(1, others.sum())
        tail = (vectors @ query)[others] + self.calibrated["temperature"] * np.log(max(1, stands_for))
        found: NDArray[np.float64] = calibration.apply(self.calibrated, np.concatenate([scores, tail])[None])[0]
        return found[: len(scores)]

    def unknown(self, text: str) -> list[str]:
        """The items of a history that the release does not know, each once."""
        return [*dict.fromkeys(item for item, _ in history.read(text) if item not in self.catalogue.numbers)]


def portions(model: "Model", texts: Sequence[str]) -> Iterator[tuple[slice, Answers]]:
    """The answers over all items to canonical histories, as many at a time as memory is to hold; and which they are."""
    size = rankings.together(len(model.signature.labels))
    for start in range(0, max(1, len(texts)), size):
        rows = slice(start, min(start + size, len(texts)))
        yield rows, model.predict(texts[rows], cleaned=True)


def kept(model: "Model", texts: Sequence[str]) -> Answers:
    """What a release keeps of the answers to histories, as the log does: the first items, with their probabilities."""
    found = [_first(answers) for _, answers in portions(model, texts)]
    columns = ("labels", "probabilities", "embeddings", "listed")
    return Answers(**{name: np.concatenate([getattr(part, name) for part in found]) for name in columns})


def _first(answers: Answers) -> Answers:
    listed, chances = rankings.first(answers.probabilities)
    return replace(answers, probabilities=chances, listed=listed)


def _of_length_one(vectors: Floats) -> Floats:
    """Embeddings; that of a user without history is nought."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    found: Floats = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return found


def cleaning(_policy: Callable[[str], str] | None) -> Callable[[str], str]:
    """What is done to a text before it is read: a history is written in the one way there is.

    The text policy is that of the items' texts, and not for histories. What it gives raises DataError on other texts.
    """
    return history.canonical


def probe(places: int) -> str:
    """A history of so many places."""
    return history.write([(str(place), None) for place in range(places)])


def answering(folder: Path, signature: "Signature", variant: str) -> Answering:
    """What makes answers of the outputs of a variant.

    Reads `<variant>.items.npz` of the folder, and `<variant>.items.index` where there is one. Raises StageError when
    one is missing or broken, or does not go with the signature.
    """
    items = catalogue.read(folder / f"{variant}.{catalogue.FILE}")
    if items.ids != signature.labels or variant not in signature.calibration or not signature.tastes:
        raise StageError(f"signature.json in {folder} does not go with the items beside it. Export and release again.")
    index, path, count = None, folder / f"{variant}.{catalogue.INDEX}", len(items.ids)
    if path.exists():
        lists_ = nearest.open_lists(path, items.sought)
        every, none = np.ones(count, dtype=np.bool_), items.sought[:0]
        index = nearest.Large(lists_, items.sought, every, none, np.arange(count), count)
    tastes = Tastes(**signature.tastes)
    return Answering(items, signature.calibration[variant], tastes, signature.max_length, index)
