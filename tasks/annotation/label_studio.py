"""Label Studio's JSON: items as its tasks, its annotations as events (https://labelstud.io/guide/export)."""

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from xml.etree import ElementTree as xml

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from tasks.annotation.events import COMMENT, LONGEST, Event, Item, Kind, person_id
from tasks.team import Team

NAMES = uuid.uuid5(uuid.NAMESPACE_URL, "tidegate:label-studio")
FLAG = "flag"


class _Read(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _User(_Read):
    id: int | None = None
    email: str | None = None


class _Result(_Read):
    from_name: str
    value: dict[str, Any]


class Annotation(_Read):
    """What one person submitted or skipped."""

    id: int
    unique_id: str | None = None
    completed_by: int | _User | None = None
    result: list[_Result] = []
    was_cancelled: bool = False
    ground_truth: bool = False
    created_at: AwareDatetime
    updated_at: AwareDatetime | None = None
    lead_time: float | None = Field(None, allow_inf_nan=False)

    @property
    def time(self) -> datetime:
        """When it was last changed."""
        return self.updated_at or self.created_at

    def chosen(self, name: str) -> list[str]:
        """What was chosen or written under a name of the interface."""
        values = [one.value for one in self.result if one.from_name == name]
        return [str(each) for value in values for each in value.get("choices") or value.get("text") or ()]


class Task(_Read):
    """A task with what was said of it."""

    data: dict[str, Any]
    annotations: list[Annotation] = []


def interface(labels: Sequence[str]) -> str:
    """The labelling interface of a project: one of the labels by the keys 1 to 9, a flag, a comment."""
    view = xml.Element("View")
    xml.SubElement(view, "Text", name="text", value="$text")
    choices = xml.SubElement(view, "Choices", name="label", toName="text", choice="single-radio", showInline="true")
    for number, label in enumerate(labels, start=1):
        xml.SubElement(choices, "Choice", {"value": label} | ({"hotkey": str(number)} if number < 10 else {}))
    flags = xml.SubElement(view, "Choices", name=FLAG, toName="text", choice="multiple")
    xml.SubElement(flags, "Choice", value=FLAG)
    xml.SubElement(view, "TextArea", name="comment", toName="text", rows="2", maxSubmissions="1", editable="true")
    xml.indent(view)
    return xml.tostring(view, encoding="unicode") + "\n"


def task(item: Item, suggestion: bool) -> dict[str, Any]:
    """An item as a task for import into a project with this interface."""
    told: dict[str, Any] = {"data": {"text": item.text, "item": item.id, "rank": item.rank, "overlap": item.overlap}}
    if suggestion and item.suggested is not None:
        chosen = {"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": [item.suggested]}}
        told["predictions"] = [{"model_version": "champion", "score": item.probability, "result": [chosen]}]
    return told


def events(
    item: str,
    annotation: Annotation,
    people: Mapping[int, str],
    team: Team | None,
    line: str,
    clean: Callable[[str], str],
) -> Iterator[Event]:
    """What one annotation says of an item: a word (answer, skip, flag or decision), and a comment.

    `people` are addresses by user number; `clean` is the text policy, for comments. Ids follow from the annotation and
    its last change, so that the same export gives the same events. Marked as ground truth by an adjudicator (by
    anybody, where there is no team.yaml) an answer is a decision. One that was submitted empty is no word. Raises
    ValueError where it holds more than one label.
    """
    who, labels = user(annotation), annotation.chosen("label")
    email = people.get(who, "") if isinstance(who, int) else who
    person = person_id(email or f"label-studio user {who}", team)
    seconds = None if annotation.lead_time is None else min(max(annotation.lead_time, 0.0), LONGEST)
    if len(labels) > 1:
        raise ValueError(f"{len(labels)} labels at once; one is allowed")
    flagged = bool(annotation.chosen(FLAG))
    kind: Kind | None = "skip" if annotation.was_cancelled else "flag" if flagged else "answer" if labels else None
    if kind == "answer" and annotation.ground_truth and _adjudicates(email, team):
        kind = "decide"
    written = clean(" ".join(annotation.chosen("comment")))[:COMMENT].strip()
    common: dict[str, Any] = {"time": annotation.time, "item": item, "person": person}
    label = labels[0] if kind in ("answer", "decide") else None
    if kind is not None:
        yield Event(id=_id(line, annotation, kind), kind=kind, label=label, seconds=seconds, **common)
    if written:
        yield Event(id=_id(line, annotation, "comment"), kind="comment", comment=written, **common)


def user(annotation: Annotation) -> int | str | None:
    """The e-mail address of whom it is by, or the number where the export has no more."""
    by = annotation.completed_by
    return (by.email or by.id) if isinstance(by, _User) else by


def _adjudicates(email: str | int | None, team: Team | None) -> bool:
    if team is None:
        return True
    member = team.person(str(email))
    return member is not None and "adjudicator" in member.roles


def _id(line: str, annotation: Annotation, kind: str) -> str:
    name = annotation.unique_id or str(annotation.id)
    return str(uuid.uuid5(NAMES, f"{line} {name} {annotation.time.timestamp():.6f} {kind}"))
