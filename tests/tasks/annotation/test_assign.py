"""Who is asked what."""

from datetime import UTC, datetime, timedelta

import pytest

from tasks.annotation.assign import Holds, adjudications, monday, next_item, progress
from tasks.annotation.events import Event, Item, suspect
from tasks.annotation.settings import AnnotateSettings
from tasks.annotation.state import State

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)  # a Wednesday
SETTINGS = AnnotateSettings(hold_minutes=10)


def item(name, rank=0, overlap=1, **more):
    return Item(id=name, text=name, rank=rank, overlap=overlap, **more)


def said(name, person="p", kind="answer", label="yes", time=NOW):
    return Event(item=name, person=person, kind=kind, label=label if kind in ("answer", "decide") else None, time=time)


def asked(state, person="p", **more):
    found = next_item(state, person, SETTINGS, **{"now": NOW, **more})
    return found.item.id if found.item else found.reason


def test_by_rank_and_in_the_order_of_adding():
    state = State([item("late", 1), item("first"), item("second")])
    assert asked(state) == "first"
    state.apply([said("first")])
    assert asked(state) == "second"
    state.apply([said("second")])
    assert asked(state) == "late"
    state.apply([said("late")])
    assert asked(state) == "nothing left"


@pytest.mark.parametrize("kind", ["answer", "skip", "flag"])
def test_nobody_is_asked_again(kind):
    state = State([item("a", overlap=3)], [said("a", kind=kind)])
    assert asked(state) == "nothing left"
    assert asked(state, "q") == ("nothing left" if kind == "flag" else "a")


def test_what_is_shown_to_one_is_not_shown_to_another_beyond_its_overlap():
    state, holds = State([item("one"), item("two", 1, overlap=2)]), Holds()
    assert asked(state, "p", holds=holds) == "one"
    assert asked(state, "q", holds=holds) == "two"
    assert asked(state, "r", holds=holds) == "two"
    assert asked(state, "s", holds=holds) == "nothing left"
    assert asked(state, "p", holds=holds) == "one"  # still theirs, after the browser was closed
    late = NOW + timedelta(minutes=11)
    assert asked(state, "s", holds=holds, now=late) == "one"


def test_a_held_item_that_needs_nobody_any_more_is_let_go():
    state, holds = State([item("one"), item("two", 1)]), Holds()
    assert asked(state, holds=holds) == "one"
    state.apply([said("one", "z", "decide")])
    assert asked(state, holds=holds) == "two"
    assert holds.own("p", NOW) == ["two"]


def test_languages():
    state = State([item("zh", language="zh"), item("en", 1, language="en"), item("unknown", 2)])
    assert asked(state) == "zh"
    assert asked(state, languages=("en",)) == "en"
    assert asked(state, languages=("de",)) == "unknown"
    assert progress(state, "p", ("en",), NOW).left == 2


def test_capacity_counts_from_monday():
    sunday = monday(NOW) - timedelta(seconds=1)
    state = State([item(name) for name in "abcd"], [said("a", time=sunday), said("b")])
    assert asked(state, capacity=2) in "cd"
    assert asked(state, capacity=1) == "done for this week"
    assert asked(state, capacity=0) == "done for this week"
    found = progress(state, "p", now=NOW)
    assert (found.today, found.week, found.left) == (1, 1, 2)


def test_what_was_taken_back_is_not_counted():
    answer = said("a")
    state = State([item("a"), item("b")], [answer, Event(item="a", person="p", kind="undo", undoes=answer.id)])
    assert asked(state, capacity=1) == "a"


def test_what_waits_for_the_adjudicators():
    wrong = suspect("film-7", "text", "negative", "positive", 0.97, rank=0)
    state = State([item("a"), item("b", overlap=2), item("c"), wrong, item("d", 5)])
    state.apply([said("a", kind="flag"), said("b"), said("b", "q", label="no"), said("d", kind="flag")])
    assert [standing.item.id for standing in adjudications(state)] == ["a", "d", "b", "suspect-film-7"]
    assert asked(state, "r") == "c"
    state.apply([said("suspect-film-7", "z", "decide"), said("a", "z", "decide")])
    assert [standing.item.id for standing in adjudications(state)] == ["d", "b"]
