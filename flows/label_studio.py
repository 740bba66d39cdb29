"""`tidegate label-studio`: the queue as tasks of Label Studio, and its annotations back as events."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from flows.settings import labels, load
from tasks.annotation import label_studio as studio
from tasks.annotation.assign import adjudications
from tasks.annotation.events import Event, Item, item_id
from tasks.annotation.journal import Journal
from tasks.core.errors import SettingsError, SourceError, TidegateError
from tasks.core.files import write_json, write_text
from tasks.core.line import Line
from tasks.team import load_team
from tasks.text import clean


def export(name: str, target: Path, suggestions: bool = False, everything: bool = False) -> str:
    """Write the items that wait for somebody as tasks, and the labelling interface beside them as .xml.

    Texts are as the queue has them, masked. Raises SettingsError for another ending than .json, TidegateError where
    nothing waits.
    """
    if target.suffix != ".json":
        raise SettingsError(f"The file was given as {target.name}; it ends with .json.")
    settings = load([name])[name]
    state = Journal.of(Line(name, settings.kind)).state()
    waiting = {one.item.id for one in adjudications(state)} | {
        one.item.id for one in state.ranked() if one.state == "open" and one.item.overlap
    }
    items = [one.item for one in state.ranked() if everything or one.item.id in waiting]
    if not items:
        raise TidegateError(
            f"Nothing of {name} waits for a label. `tidegate queue {name} FILE` puts texts into its queue."
        )
    write_json(target, [studio.task(item, suggestions) for item in items])
    write_text(target.with_suffix(".xml"), studio.interface(labels(name, settings)))
    most = max(item.overlap for item in items)
    return (
        f"{len(items)} tasks are in {target}, the labelling interface in {target.with_suffix('.xml')}. "
        + (f"Annotations per task: {most}, for those that say so under `overlap`. " if most > 1 else "")
        + f"`tidegate label-studio import {name} FILE` takes what Label Studio exports as JSON."
    )


def take(name: str, file: Path, people: Sequence[str] = ()) -> str:
    """Keep what an export of Label Studio says as events; what was done, in sentences.

    Contradicting answers are all kept. `people` are ID=EMAIL, for users that the export knows by number alone. Raises
    SourceError where it is no such export, or says something that the line does not know; then nothing is kept.
    """
    settings, team = load([name])[name], load_team()
    line = Line(name, settings.kind)
    journal, mapped = Journal.of(line), _people(people)
    queue = {item.id: item for item in journal.items()}
    tasks = _read(file)
    read = partial(studio.events, people=mapped, team=team, line=name, clean=partial(clean, settings=settings.text))
    found, unknown = _events(tasks, queue, read)
    _refuse_labels(found, labels(name, settings), file)
    new = journal.append(*sorted(found, key=lambda event: event.time))
    by_number = {studio.user(each) for one in tasks for each in one.annotations}
    unnamed = sorted(who for who in by_number if isinstance(who, int) and who not in mapped)
    said = [f"{new} new events of {name} from {len(tasks)} tasks; {len(found) - new} were known."]
    if unknown:
        said.append(f"{unknown} annotations are of texts that are not in the queue; they were left out.")
    if unnamed:
        said.append(
            f"The export knows user {', '.join(map(str, unnamed))} by number alone; --person {unnamed[0]}=EMAIL, given "
            "at the first import, says who that is."
        )
    return " ".join(said)


def _read(file: Path) -> list[studio.Task]:
    try:
        return TypeAdapter(list[studio.Task]).validate_python(json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise SourceError(f"There is no file {file}.") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise SourceError(f"{file} is no JSON ({str(error)[:100]}). Export from Label Studio as JSON.") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise SourceError(
            f"{file} is no export of Label Studio as JSON: {place}: {first['msg']}. JSON-MIN and csv leave out what is "
            "needed."
        ) from None


def _events(
    tasks: list[studio.Task], queue: Mapping[str, Item], read: Callable[[str, studio.Annotation], Iterator[Event]]
) -> tuple[list[Event], int]:
    """The events, and how many annotations are of items that are not in the queue."""
    found: list[Event] = []
    unknown = 0
    for number, task in enumerate(tasks):
        item = str(task.data.get("item") or item_id(str(task.data.get("text"))))
        if item not in queue:
            unknown += len(task.annotations)
            continue
        for annotation in task.annotations:
            try:
                found += read(item, annotation)
            except ValueError as error:
                raise SourceError(
                    f"Task {number} of the export, annotation {annotation.id}: "
                    f"{str(error).splitlines()[0]}. Correct it in Label Studio."
                ) from None
    return found, unknown


def _refuse_labels(events: Sequence[Event], known: Sequence[str], file: Path) -> None:
    strange = Counter(event.label for event in events if event.label is not None and event.label not in known)
    if strange:
        told = ", ".join(f"{str(label)[:40]!r} ({count})" for label, count in strange.most_common(10))
        raise SourceError(
            f"{file} has labels that the line does not know: {told}. Allowed are {', '.join(known)}. Nothing was taken."
        )


def _people(given: Sequence[str]) -> dict[int, str]:
    pairs: dict[int, str] = {}
    for each in given:
        number, _, email = each.partition("=")
        if not number.isdigit() or "@" not in email:
            raise SettingsError(f"--person was given as {each!r}; it is ID=EMAIL, as in 3=ada@example.org.")
        pairs[int(number)] = email
    return pairs
