"""What follows from all that people said."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.annotation.events import DECISIONS, Event, Item
from tasks.annotation.state import State

ITEMS = [Item(id="a", text="A", overlap=1), Item(id="b", text="B", overlap=2), Item(id="s", text="S", overlap=0)]
COUNT = iter(range(10**9))


def said(kind, item="b", person="p", id=None, **more):
    more |= {"label": more.get("label", "yes")} if kind in ("answer", "decide") else {}
    return Event(id=id or f"e{next(COUNT)}", item=item, person=person, kind=kind, **more)


def standing(*events, item="b"):
    return State(ITEMS, events).standings[item]


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([], "open"),
        ([said("answer")], "open"),
        ([said("answer"), said("answer")], "open"),  # one person, who changed their mind
        ([said("answer"), said("answer", person="q")], "answered"),
        ([said("answer"), said("answer", person="q", label="no")], "disagreed"),
        ([said("answer"), said("answer", person="q", label="no"), said("answer", label="no")], "answered"),
        ([said("answer"), said("skip", person="q")], "open"),
        ([said("skip"), said("skip", person="q")], "flagged"),
        ([said("skip"), said("skip", person="q"), said("answer", person="r"), said("answer", person="t")], "answered"),
        ([said("answer"), said("flag", person="q")], "flagged"),
        ([said("flag"), said("answer")], "open"),  # the last word of a person counts
        ([said("flag"), said("decide", person="z")], "decided"),
        ([said("decide", person="z"), said("answer", label="no"), said("flag", person="q")], "decided"),
        ([said("flag"), said("discard", person="z"), said("answer")], "discarded"),
        ([said("decide", person="z"), said("discard", person="y")], "discarded"),
        ([said("discard", person="y"), said("decide", person="z")], "decided"),
        ([said("comment", comment="why?")], "open"),
    ],
)
def test_states(events, state):
    assert standing(*events).state == state


def test_two_at_once_on_an_item_for_one_are_both_kept():
    found = standing(said("answer", "a"), said("answer", "a", "q", label="no"), item="a")
    assert set(found.answers) == {"p", "q"}
    assert found.state == "disagreed"


def test_what_comes_after_a_decision_is_kept_and_changes_nothing():
    found = standing(said("answer"), said("decide", person="z", label="no"), said("answer", person="q"))
    assert found.decision.label == "no"
    assert set(found.answers) == {"p", "q"}


def test_the_last_decision_stands_and_an_undo_brings_back_the_one_before():
    first, second = said("decide", person="y"), said("decide", person="z", label="no")
    assert standing(first, second).decision is second
    assert standing(first, second, said("undo", person="z", undoes=second.id)).decision is first


def test_an_undo_brings_back_what_was_said_before():
    first, second = said("answer"), said("answer", label="no")
    undo = said("undo", undoes=second.id)
    assert standing(first, second, undo).answers == {"p": first}
    assert standing(first, second, undo, said("undo", undoes=second.id)).answers == {"p": first}
    assert standing(first, second, undo, said("undo", undoes=undo.id)).answers == {"p": first}
    assert standing(first, second, said("undo", person="q", undoes=second.id)).answers == {"p": second}
    assert standing(said("undo", undoes=first.id), first).answers == {"p": first}


def test_events_of_an_item_wait_until_it_is_added():
    state = State(events=[said("answer", "late")])
    state.add([Item(id="late", text="L")])
    assert state.standings["late"].state == "answered"


def test_what_a_person_can_take_back():
    first, second = said("answer"), said("skip", "a")
    state = State(ITEMS, [first, second, said("answer", person="q")])
    assert state.undoable("p") is second
    state.apply([said("undo", "a", undoes=second.id)])
    assert state.undoable("p") is first
    state.apply([said("undo", undoes=first.id)])
    assert state.undoable("p") is None
    assert state.undoable("nobody") is None


KINDS = ("answer", "skip", "flag", "comment", "undo", "decide", "discard")
EVENTS = st.lists(
    st.builds(
        lambda kind, item, person, label, number, target: Event(
            id=f"e{number}", item=item, person=person, kind=kind,
            label=label if kind in ("answer", "decide") else None, comment="c" if kind == "comment" else None,
            undoes=f"e{target}" if kind == "undo" else None,
        ),
        st.sampled_from(KINDS), st.sampled_from(["a", "b", "s", "unknown"]), st.sampled_from("pqr"),
        st.sampled_from(["yes", "no"]), st.integers(0, 15), st.integers(0, 15),
    ),
    unique_by=lambda event: event.id, max_size=16,
)  # fmt: skip


def seen(state):
    return {
        item: (one.state, one.answers, one.skips, one.flags, one.decision, one.comments)
        for item, one in state.standings.items()
    }


@settings(deadline=None)
@given(EVENTS, st.integers(0, 16))
def test_one_by_one_or_all_at_once(events, cut):
    state = State(ITEMS, events[:cut])
    state.apply(events[cut:])
    assert seen(state) == seen(State(ITEMS, events))
    for person in "pqr":
        assert (state.undoable(person) is None) or state.undoable(person).person == person


@settings(deadline=None)
@given(EVENTS, st.sampled_from(["answer", "skip", "flag", "comment", "decide", "discard"]))
def test_an_undo_restores(events, kind):
    new = said(kind, comment="c") if kind == "comment" else said(kind)
    before = seen(State(ITEMS, events))
    after = State(ITEMS, [*events, new])
    assert seen(after)["b"] != before["b"]
    after.apply([said("undo", undoes=new.id)])
    assert seen(after) == before


@settings(deadline=None)
@given(EVENTS, EVENTS.map(lambda events: [event for event in events if event.kind not in (*DECISIONS, "undo")]))
def test_a_decision_is_stable(before, after):
    decision = said("decide", person="z")
    later = [event.model_copy(update={"id": f"l{event.id}"}) for event in after]
    found = State(ITEMS, [*before, decision, *later]).standings["b"]
    assert found.decision is decision
    assert found.state == "decided"
