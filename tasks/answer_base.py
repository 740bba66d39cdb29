"""What people change in a base of answers between two releases: texts added or changed, and answers withdrawn."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

SCHEMA = 1
Embed = Callable[[Sequence[str]], NDArray[np.float32]]


class Entry(BaseModel):
    """A text that leads to an answer."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    text: str
    label: str


class Change(BaseModel):
    """What one person changed at once."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    by: str
    time: str
    """ISO 8601, UTC."""
    added: tuple[Entry, ...] = ()
    """Each takes the place of an entry with its id."""
    withdrawn: tuple[str, ...] = ()
    """Ids of entries, or labels, of which all entries go."""


class Changes(BaseModel):
    """answers.json: every change of a line's base, oldest first. They hold for each release that serves the line."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: int = SCHEMA
    line: str
    changes: tuple[Change, ...] = ()

    @property
    def version(self) -> int:
        """How often the base was changed."""
        return len(self.changes)

    def standing(self, ids: Sequence[str], labels: Sequence[str]) -> tuple[list[int], list[Entry]]:
        """What is left of a release's entries, by their places, and the entries that came since."""
        places = dict(zip(ids, range(len(ids)), strict=True))
        added: dict[str, Entry] = {}
        for change in self.changes:
            gone = set(change.withdrawn)
            for name, place in list(places.items()):
                if name in gone or labels[place] in gone:
                    del places[name]
            added = {name: entry for name, entry in added.items() if not {name, entry.label} & gone}
            for entry in change.added:
                places.pop(entry.id, None)
                added[entry.id] = entry
        return sorted(places.values()), list(added.values())


@runtime_checkable
class Changeable(Protocol):
    """What makes answers out of a base that can be changed while it serves."""

    names: list[str]
    """The labels of all answers, in the order of the probabilities."""

    def changed(self, changes: Changes, embed: Embed) -> Any:
        """The same on the release's base with these changes; `embed` gives texts their embeddings.

        Raises StageError where no answer would be left.
        """
        ...
