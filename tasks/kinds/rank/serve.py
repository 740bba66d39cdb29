"""What a user may want next, out of what the ONNX graph makes of a history."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks import calibration
from tasks.core.errors import StageError
from tasks.kinds.common.serve import Answers
from tasks.kinds.rank.shared import catalogue, history, lists
from tasks.kinds.rank.shared.catalogue import Catalogue, Floats
from tasks.kinds.rank.shared.history import Tastes
from tasks.kinds.rank.shared.lists import Listed

if TYPE_CHECKING:
    import onnxruntime as ort

    from tasks.inference import Signature

OUTPUTS = ("user", "parts")
"""user [rows, width]: what is multiplied with items; parts [rows, places, width]: its summands."""
ROWS = 256  # histories that are computed together


@dataclass(frozen=True)
class Answering:
    """The items of a release, and the temperature that makes probabilities of their scores."""

    catalogue: Catalogue
    calibrated: Mapping[str, Any]
    tastes: Tastes
    longest: int
    """Events of a history that are read: the last ones."""

    def read(self, session: "ort.InferenceSession", texts: Sequence[str]) -> dict[str, NDArray[Any]]:
        """The graph's `user` [rows, width] for histories; what each gives an item, `scores`; which are `seen` there.

        The latter two are [rows, items].
        """
        users, seen, popular = [], [], []
        for start in range(0, len(texts), ROWS):
            told, moments = zip(*map(history.parse, texts[start : start + ROWS]), strict=True)
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
        events, moment = history.parse(text)
        user, parts = session.run(list(OUTPUTS), self.inputs([events]))
        numbers = self.catalogue.numbers
        scores = (user @ self.catalogue.outward.T + self.catalogue.popular([moment]))[0].astype(np.float64)
        probabilities = calibration.apply(self.calibrated, scores[None])[0]
        gone = {numbers[item] for item, _ in events if item in numbers} if exclude_seen else set()
        most = min(len(scores), len(gone) + top * (lists.CONSIDERED if diversity else 1))
        best = np.argpartition(-scores, most - 1)[:most]
        best = np.array([at for at in best[np.lexsort((best, -scores[best]))] if at not in gone], dtype=np.int64)
        chosen = lists.varied(best, scores[best], self.catalogue.outward[best], top, diversity)
        known = [numbers[item] for item, _ in events if item in numbers][-self.longest :][::-1]
        return [
            Listed(
                self.catalogue.ids[at], self.catalogue.texts[at], float(probabilities[at]),
                lists.reasons(self.catalogue, parts[0][: len(known)], known, at),
            )
            for at in chosen.tolist()
        ]  # fmt: skip

    def unknown(self, text: str) -> list[str]:
        """The items of a history that the release does not know, each once."""
        return [*dict.fromkeys(item for item, _ in history.read(text) if item not in self.catalogue.numbers)]


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
    """What makes answers of the outputs of a variant; reads `<variant>.items.npz` of the folder.

    Raises StageError when it is missing or does not go with the signature.
    """
    items = catalogue.read(folder / f"{variant}.{catalogue.FILE}")
    if items.ids != signature.labels or variant not in signature.calibration or not signature.tastes:
        raise StageError(f"signature.json in {folder} does not go with the items beside it. Export and release again.")
    return Answering(items, signature.calibration[variant], Tastes(**signature.tastes), signature.max_length)
