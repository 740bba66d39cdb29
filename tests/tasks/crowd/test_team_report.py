"""What a label report tells of a team, and its page."""

import re
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tasks.annotation.events import Event, Item
from tasks.annotation.state import State
from tasks.crowd.gather import gather
from tasks.crowd.settings import VoteSettings
from tasks.crowd.team_page import page
from tasks.crowd.team_report import describe

LABELS = ["bad", "good"]
SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>"
START = datetime(2026, 3, 2, 9, tzinfo=UTC)  # a Monday


def team(items=60, seed=0, hasty="p2"):
    """A queue that three people answered, p2 fast; an item decided, one corrected."""
    rng = np.random.default_rng(seed)
    queue = [Item(id=f"q{n}", text=f"text {n} {SCRIPT}", overlap=3) for n in range(items)]
    events = []
    for n, item in enumerate(queue):
        true = LABELS[n % 2]
        for who in ("p0", "p1", "p2"):
            label = true if rng.random() < 0.9 else LABELS[1 - n % 2]
            time = START + timedelta(hours=4 * n)
            seconds = rng.lognormal(0 if who == hasty else 2, 0.3)
            events.append(Event(item=item.id, person=who, kind="answer", label=label, seconds=seconds, time=time))
    events.append(Event(item="q0", person="judge", kind="decide", label="good", time=START))
    return State(queue, events)


def rows():
    given = [{"who": "p0", "label": "good"}, {"who": "far", "label": "bad"}, {"who": "far", "label": "odd"}]
    return [{"id": "r1", "text": "row", "label": None, "votes": given[:2]},
            {"id": "r2", "text": "row", "label": "good", "votes": given[2:]}]  # fmt: skip


def report(**changes):
    found = gather(rows(), team(), LABELS, {})
    return describe(found, VoteSettings(method="majority"), {"p0": 20, **changes}, samples=100)


def test_rows_and_queue_are_one_team():
    told = report()
    assert told.counts == {
        "texts": 62, "votes": 182, "people": 4, "texts that several people answered": 61,
        "of these, answered alike by all": told.counts["of these, answered alike by all"],
        "decided by an adjudicator": 2, "discarded by an adjudicator": 0, "ties": 1,
        "votes for labels that the line does not have": 1,
    }  # fmt: skip
    assert told.gathered.left_out == {"odd": 1}
    assert told.alpha["low"] < told.alpha["value"] < told.alpha["high"]
    assert {(one, other) for one, other, _ in told.pairs} == {("p0", "p1"), ("p0", "p2"), ("p1", "p2")}


def test_what_was_discarded_is_counted_and_its_votes_tell_nothing():
    state = team()
    state.apply([Event(item="q0", person="judge", kind="discard", time=START)])
    found = gather(rows(), state, LABELS, {})
    assert (found.discarded, "queue-q0" in found.texts, len(found.votes)) == (1, False, 182 - 3)
    assert ("judge", START) in found.answered
    told = describe(found, VoteSettings(method="majority"), {}, samples=100)
    assert (told.counts["discarded by an adjudicator"], told.counts["decided by an adjudicator"]) == (1, 1)


def test_speed_and_workload_a_week():
    told = report()
    assert [one.person for one in told.speeds if one.hasty] == ["p2"]
    first = {week.person: week for week in told.weeks if week.monday == "2026-03-02"}
    assert first["p0"].answers == 40  # hours 0, 4, ..., 156 of 168, and one on the next Monday at 9
    assert first["judge"].answers == 1
    assert first["p0"].over
    assert not first["p1"].over
    assert not report(p0=None).weeks[0].over


def test_disagreements_are_those_of_the_least_agreement():
    told = report()
    worst = told.disagreements[0]
    assert worst.item == "r1"
    assert worst.answers == [("bad", ["far"]), ("good", ["p0"])]
    decided = {one.item: one for one in told.disagreements}.get("queue-q0")
    assert decided is None or (decided.decided and decided.label == "good")


def test_the_page_stands_alone_and_escapes_what_it_shows():
    names = {"p0": SCRIPT, "p1": "Ada"}
    suspects = [{"text": SCRIPT, "given": SCRIPT, "suggested": "good", "probability": 0.9}]
    html = page("made", "read", report(), names, suspects, "")
    assert "<script" not in html
    assert "<img src=x" not in html
    assert html.count("data:image/png;base64,") == 4
    assert not re.findall(r'(?:src|href)="(?!data:)', html)
    assert "Ada" in html
    assert ">p2<" in html
    assert "clicks fast" in html
    assert html == page("made", "read", report(), names, suspects, "")


@pytest.mark.parametrize("state", [None, State()])
def test_rows_without_a_queue_and_without_overlap(state):
    alone = [{"id": f"r{n}", "text": None, "label": None, "votes": [{"who": "p", "label": "good"}]} for n in range(3)]
    told = describe(gather(alone, state, LABELS, {}), VoteSettings(), {}, samples=100)
    assert (told.alpha, told.fleiss, told.pairs, told.speeds, told.weeks, told.disagreements) == (
        None, None, [], [], [], [],
    )  # fmt: skip
    assert "cannot be told" in page("made", "read", told, {}, [], "Not asked for.")


def test_a_renamed_label_is_counted_under_its_new_name():
    old = [{"id": "r", "text": "t", "label": "fine", "votes": [{"who": "p", "label": "fine"}]}]
    found = gather(old, None, LABELS, {"fine": "good"})
    assert (found.decided, found.left_out, len(found.votes)) == ({"r": "good"}, {}, 1)
