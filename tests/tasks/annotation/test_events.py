"""Items and events."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from tasks.annotation.events import Event, item_id, person_id
from tasks.team import Member, Team

ADA = Member("Ada", "person", "Ada@Example.org")


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "answer"}, {"kind": "skip", "label": "a"}, {"kind": "undo"}, {"kind": "comment"},
        {"kind": "answer", "label": "a", "undoes": "x"}, {"kind": "decide"}, {"kind": "skip", "seconds": -1},
        {"kind": "skip", "seconds": float("nan")}, {"kind": "skip", "time": "2026-01-01T00:00:00"}, {"kind": "other"},
        {"kind": "answer", "label": "a\nb"}, {"kind": "skip", "item": ""},
    ],
)  # fmt: skip
def test_an_event_that_says_nothing_whole_is_refused(wrong):
    with pytest.raises(ValidationError):
        Event(**{"item": "i", "person": "p", **wrong})


def test_times_are_kept_in_utc():
    event = Event(item="i", person="p", kind="skip", time="2026-01-01T01:00:00+01:00")
    assert event.time == datetime(2026, 1, 1, tzinfo=UTC)
    assert '"2026-01-01T00:00:00Z"' in event.model_dump_json()


def test_a_renamed_annotator_stays_one_person():
    before = person_id("Ada", Team((ADA,)))
    assert before == person_id("Ada King", Team((Member("Ada King", "person", "ada@example.org"),)))
    assert before == person_id("ada@example.org", None)
    assert before != person_id("Ada", None)
    assert len(before) == 12


def test_a_text_names_itself():
    assert item_id("a") == item_id("a") != item_id("b")
    assert len(item_id("half of a pair \ud800")) == 16
