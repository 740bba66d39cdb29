"""What people change in a base of answers between two releases: texts added or changed, and answers withdrawn."""

import hashlib
from collections.abc import Callable, Sequence, Set
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

SCHEMA = 1
Embed = Callable[[Sequence[str]], NDArray[np.float32]]


def text_id(text: str) -> str:
    """The id of an entry that was given none."""
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


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
    proof: str = ""
    """How it is known that it was them."""
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

    def without(self, texts: Set[str], ids: Set[str]) -> tuple["Changes", int]:
        """The same without entries of these texts or ids, and how many those were.

        The id of one that took the place of a release's entry is withdrawn instead, so that the old one does not come
        back; an id that was made of the text goes with it.
        """
        gone = [one for change in self.changes for one in change.added if one.text in texts or one.id in ids]
        made = {entry.id for entry in gone if entry.id == text_id(entry.text)}
        kept = []
        for change in self.changes:
            out = [entry.id for entry in change.added if entry in gone]
            withdrawn = (name for name in (*change.withdrawn, *out) if name not in made)
            added = tuple(entry for entry in change.added if entry not in gone)
            kept.append(change.model_copy(update={"added": added, "withdrawn": tuple(dict.fromkeys(withdrawn))}))
        return self.model_copy(update={"changes": tuple(kept)}), len(gone)

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
