"""What a team did for a line, from its rows with votes and the events of its queue."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tasks.annotation.events import Event
from tasks.crowd.votes import Votes

if TYPE_CHECKING:
    from tasks.annotation.state import State


@dataclass
class Gathered:
    """Votes of a line with what is known of them."""

    votes: Votes
    texts: dict[str, str]
    """By item; masked by the text policy."""
    decided: dict[str, str]
    """Labels by item, of those that an adjudicator decided."""
    seconds: dict[str, list[float]] = field(default_factory=dict)
    """By person, of each answer that counts and whose time is known."""
    answered: list[tuple[str, datetime]] = field(default_factory=list)
    """Who answered or decided when, of the queue alone: rows do not say."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Votes for labels that the line does not have (any more), by label."""
    discarded: int = 0
    """Texts of the queue that an adjudicator found fit for no label; their votes tell nothing."""


def gather(
    rows: Iterable[Mapping[str, Any]], state: "State | None", labels: Sequence[str], rename: Mapping[str, str]
) -> Gathered:
    """Join rows (id, text, label, votes) of other sources than the queue with the queue's own state.

    A label with votes is an adjudicator's. Unlike the stage label this leaves unknown labels out and counts them: a
    report is no place to stop.
    """
    said: list[tuple[str, str, str]] = []
    found = Gathered(Votes.of([], [], labels), {}, {})
    for row in rows:
        said += _take(found, row, rename, labels)
    for standing in state.standings.values() if state else ():
        if standing.state == "discarded":
            found.discarded += 1
        else:
            said += _take(found, _standing(standing), rename, labels)
        counting = list(standing.answers.values())
        for event in counting:
            if event.seconds is not None:
                found.seconds.setdefault(event.person, []).append(event.seconds)
        found.answered += [(event.person, event.time) for event in [*counting, *_decision(standing)]]
    found.votes = Votes.of(said, sorted(found.texts), labels)
    found.answered.sort(key=lambda one: (one[1], one[0]))
    return found


def _standing(standing: Any) -> dict[str, Any]:
    """An item of the queue as a row; a suspect's decision corrects a label and says nothing of votes."""
    votes = [{"who": who, "label": event.label} for who, event in sorted(standing.answers.items())]
    label = standing.decision.label if standing.decision and not standing.item.corrects else None
    return {"id": f"queue-{standing.item.id}", "text": standing.item.text, "label": label, "votes": votes}


def _decision(standing: Any) -> list[Event]:
    return [standing.decision] if standing.decision else []


def _take(
    found: Gathered, row: Mapping[str, Any], rename: Mapping[str, str], labels: Sequence[str]
) -> list[tuple[str, str, str]]:
    given = [(vote["who"], rename.get(vote["label"], vote["label"])) for vote in row["votes"] or () if vote["label"]]
    for _, label in given:
        if label not in labels:
            found.left_out[label] = found.left_out.get(label, 0) + 1
    said = [(row["id"], who, label) for who, label in given if who and label in labels]
    decided = None if row["label"] is None else rename.get(row["label"], row["label"])
    if said or decided in labels:
        found.texts[row["id"]] = row["text"] or ""
    if decided in labels:
        found.decided[row["id"]] = str(decided)
    return said


__all__ = ["Gathered", "gather"]
