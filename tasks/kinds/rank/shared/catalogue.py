"""The items of a release: their ids and texts, and what the towers made of each."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from tasks.core.errors import StageError
from tasks.core.files import atomic

Floats = NDArray[np.float32]

FILE = "items.npz"
"""The items of a variant are `<variant>.items.npz` beside its graph."""
INDEX = "items.index"
"""The index of a variant is `<variant>.items.index`, where the items are many (tasks.nearest)."""
ARRAYS = ("inward", "outward", "popularity", "points")


@dataclass(frozen=True)
class Catalogue:
    """The items of a model, [items] each, in the order of its outputs."""

    ids: list[str]
    texts: list[str]
    inward: Floats
    """[items, width], an item as a part of a history."""
    outward: Floats
    """[items, width], an item as what is looked for."""
    popularity: Floats
    """[points + 1, items], what speaks for an item whoever asks: before the first point of time, and from each on."""
    points: NDArray[np.float64]
    """[points], seconds since 1970, rising."""

    @cached_property
    def numbers(self) -> Mapping[str, int]:
        """The number of each item."""
        return {item: number for number, item in enumerate(self.ids)}

    @cached_property
    def sought(self) -> Floats:
        """[items, width + 1], what a user of now with a 1 behind is multiplied with.

        What all items have in common is taken off: an index orders them the better.
        """
        popular = self.popularity[-1]
        return np.concatenate([self.outward, (popular - popular.mean())[:, None]], axis=1)

    def popular(self, moments: Sequence[float | None]) -> Floats:
        """[rows, items], what speaks for items at each of some moments; None is the last that is known of."""
        last = len(self.points)
        places = [last if at is None else int(np.searchsorted(self.points, at, side="right")) for at in moments]
        return self.popularity[places]


def write(path: Path, catalogue: Catalogue) -> None:
    """Write a catalogue as numpy's npz: `entries`, the bytes of JSON with id and text, and ARRAYS."""
    entries = json.dumps({"id": catalogue.ids, "text": catalogue.texts}, ensure_ascii=False).encode()
    arrays: dict[str, Any] = {name: getattr(catalogue, name) for name in ARRAYS}
    with atomic(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, entries=np.frombuffer(entries, np.uint8), **arrays)


def read(path: Path) -> Catalogue:
    """A catalogue as it was written. Raises StageError when it is missing or broken."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            entries = json.loads(stored["entries"].tobytes())
            found = Catalogue(entries["id"], entries["text"], *(stored[name] for name in ARRAYS))
    except FileNotFoundError:
        raise StageError(f"{path} is missing: the model has no items to recommend. Export and release again.") from None
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
        raise StageError(f"{path} is broken ({error}). Export and release again.") from None
    if not len(found.ids) == len(found.texts) == len(found.inward) == len(found.outward) > 0 or (
        found.popularity.shape != (len(found.points) + 1, len(found.ids))
    ):
        raise StageError(f"{path} is broken: it has no items, or not all of each. Export and release again.")
    return found
