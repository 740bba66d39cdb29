"""`tidegate answers`: what a retrieval line can answer, and changes of it that need no training."""

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flows.approver import Approved, Question, allowed
from flows.deploy import serving_folder
from flows.lock import hold
from flows.record import now
from flows.settings import load
from serving.deployment import ServingFolder
from tasks.answer_base import Change, Changes, Entry, text_id
from tasks.core.errors import DataError, SettingsError, SourceError, StageError
from tasks.core.line import STATE, Line
from tasks.sources.tables import OF_COMMAND, Column, Remedy, TableSettings, UnreadableTable, canonical, raw
from tasks.text import TextSettings, clean, to_drop

if TYPE_CHECKING:
    import pandas as pd

    from tasks.forgotten import Subject

COLUMNS: tuple[Column, ...] = ("text", "label")
ADVICE: Mapping[Remedy, str] = {**OF_COMMAND, "columns": "It needs text and label, and with --ids also id."}
NAMED = 5  # rows or names in a message


@dataclass(frozen=True)
class Standing:
    """The base of a line as it serves now."""

    changes: Changes
    entries: "pd.DataFrame"
    """id, text, label, and change: the number of the change that brought it, 0 for the release."""


def show(line: str, answer: str | None = None) -> str:
    """The answers, most texts first; or the texts of one answer with their ids. Raises SettingsError, StageError."""
    base = standing(_folder(line), line)
    entries = base.entries
    if answer is not None:
        _known([answer], set(entries["label"]))
        texts = entries[entries["label"] == answer]
        return "\n".join(f"{row.id}  {row.text}" for row in texts.itertuples())
    counts = Counter(entries["label"].tolist())
    added = Counter(entries.loc[entries["change"] > 0, "label"].tolist())
    rows = [
        f"{label}  {number} texts" + (f", {added[label]} of them added since the release" if added[label] else "")
        for label, number in counts.most_common()
    ]
    return "\n".join([f"{line}: {len(rows)} answers, {base.changes.version} changes so far", *rows])


def add(line: str, file: Path, by: str, ids: bool = False, key: str | None = None) -> str:
    """Let texts lead to answers: a table with the columns text and label, with `ids` also id.

    Texts go through the line's text policy first. An entry takes the place of that with its id, or else with its text.
    `key` is the API key of `by`; default: as for a promotion. Raises DataError where a row cannot be taken, then none
    is, and NotAllowedError where `by` may not change answers.
    """
    settings = load([line])[line]
    with _changing(line) as folder:
        before = standing(folder, line)
        person = _allowed(line, before.changes, by, key)
        known = dict(zip(before.entries["text"], before.entries["id"], strict=True))
        entries = _read(file, settings.text, known, ids)
        _put(folder, before.changes, _change(person, added=tuple(entries)))
    new = sorted({entry.label for entry in entries} - set(before.entries["label"]))
    told = f", {len(new)} new answers among them: {', '.join(new[:NAMED])}" if new else ""
    return f"{line}: {len(entries)} texts were added{told}. {_taken_up(before.changes)}"


def withdraw(line: str, names: Sequence[str], by: str, key: str | None = None) -> str:
    """Take answers, or single texts by their id, out of the base; `key` as for `add`.

    Raises SettingsError on what is not in it, NotAllowedError where `by` may not change answers.
    """
    with _changing(line) as folder:
        before = standing(folder, line)
        person = _allowed(line, before.changes, by, key)
        entries = before.entries
        _known(names, {*entries["id"], *entries["label"]})
        gone = entries["id"].isin(names) | entries["label"].isin(names)
        if gone.all():
            raise SettingsError(f"That would leave {line} without any answer. Add others first.")
        _put(folder, before.changes, _change(person, withdrawn=tuple(dict.fromkeys(names))))
    return f"{line}: {int(gone.sum())} texts no longer lead anywhere. {_taken_up(before.changes)}"


def forget(line: str, subject: "Subject") -> tuple[int, int]:
    """Take texts out of the changes, and out of what serves; how many entries were erased, and how many withdrawn.

    An entry of the release itself can be withdrawn alone: the release stays as it is. Where that would leave no answer
    it is not. Raises BusyError during another change, StageError where changes or release cannot be read.
    """
    with _changing(line) as folder:
        changes, erased = (folder.changes(line) or Changes(line=line)).without(subject.texts, subject.ids)
        if erased:
            folder.change(changes)
        if folder.pointer(line) is None:
            return erased, 0
        entries = standing(folder, line).entries
        meant = entries["id"].isin(subject.ids) | entries["text"].isin(subject.texts)
        gone = entries["id"][meant].tolist()
        if not gone or meant.all():
            return erased, 0
        _put(folder, changes, Change(by="tidegate forget", time=now(), withdrawn=tuple(gone)))
    return erased, len(gone)


def standing(folder: ServingFolder, line: str) -> Standing:
    """The base of the release that serves, with the changes since. Raises StageError where nothing serves the line."""
    import pandas as pd

    from tasks import search

    pointer = folder.pointer(line)
    if pointer is None:
        raise StageError(f"Nothing serves {line}: its answers come with a release. `tidegate promote {line}` first.")
    bundle = folder.fetch(line, pointer.release, STATE / "served")
    base = search.read(bundle / f"{pointer.variant}.{search.FILE}")
    released = pd.DataFrame({"id": base.ids, "text": base.texts, "label": base.labels, "change": 0})
    changes = folder.changes(line) or Changes(line=line)
    places, added = changes.standing(base.ids, base.labels)
    came = {entry: n for n, change in enumerate(changes.changes, 1) for entry in change.added}
    rows = pd.DataFrame([{**entry.model_dump(), "change": came[entry]} for entry in added], columns=released.columns)
    return Standing(changes, pd.concat([released.iloc[places], rows], ignore_index=True))


def _read(file: Path, policy: TextSettings, known: Mapping[str, str], ids: bool) -> list[Entry]:
    """The rows of a file as entries; `known` gives the ids of texts that are there already."""
    if not file.exists():
        raise DataError(f"{file} does not exist. Give a csv, tsv, jsonl or parquet file with columns text and label.")
    columns: dict[Column, str | int] = {name: name for name in (("id", *COLUMNS) if ids else COLUMNS)}
    tables = raw(file, TableSettings(columns=columns), file.name, columns)
    try:
        rows = [row for table in tables for row in canonical(table, file.name).to_pylist()]
    except UnreadableTable as error:
        raise SourceError(error.advised(ADVICE)) from None
    entries, wrong = [], []
    for number, row in enumerate(rows, 1):
        text, label = clean(row["text"] or "", policy), (row["label"] or "").strip()
        name = (row["id"] or "").strip() if ids else known.get(text) or text_id(text)
        if not text.strip() or not label or not name or to_drop(text, policy):
            wrong.append(number)
            continue
        entries.append(Entry(id=name, text=text, label=label))
    _require(file, entries, wrong)
    return entries


def _require(file: Path, entries: list[Entry], wrong: list[int]) -> None:
    if wrong or not entries:
        which = ", ".join(map(str, wrong[:NAMED])) + (" and more" if len(wrong) > NAMED else "")
        reason = f"row {which} lacks a text, label or id, or has what the text policy drops" if wrong else "has no row"
        raise DataError(f"{file.name}: {reason}. Mend the file; nothing was changed.")
    if twice := [name for name, count in Counter(entry.id for entry in entries).items() if count > 1]:
        raise DataError(
            f"{file.name}: an id or a text stands there twice, {', '.join(twice[:NAMED])}. Keep one of each."
        )


def _known(names: Sequence[str], known: set[str]) -> None:
    if strange := [name for name in names if name not in known]:
        near = difflib.get_close_matches(strange[0], sorted(known), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise SettingsError(f"There is no answer or entry {strange[0]!r}{hint} `tidegate answers list` says which are.")


@contextmanager
def _changing(line: str) -> Iterator[ServingFolder]:
    folder = _folder(line)
    with hold(f"answers-{line}", f"Somebody is changing the answers of {line} at this moment. Try again."):
        yield folder


def _folder(line: str) -> ServingFolder:
    """The serving folder. Raises SettingsError where the line has no base of answers."""
    kind = load([line])[line].kind
    if kind != "retrieve":
        raise SettingsError(f"{line} is of kind {kind}: only a line of kind retrieve has a base of answers.")
    return serving_folder()


def _allowed(line: str, before: Changes, by: str, key: str | None) -> Approved:
    return allowed(Question("change", Line(line, "retrieve"), str(before.version + 1), by), key)


def _change(person: Approved, added: tuple[Entry, ...] = (), withdrawn: tuple[str, ...] = ()) -> Change:
    return Change(by=person.by, proof=person.proof, time=now(), added=added, withdrawn=withdrawn)


def _put(folder: ServingFolder, before: Changes, change: Change) -> None:
    folder.change(before.model_copy(update={"changes": (*before.changes, change)}))


def _taken_up(before: Changes) -> str:
    return f"It is change {before.version + 1}, and the service takes it up within seconds."
