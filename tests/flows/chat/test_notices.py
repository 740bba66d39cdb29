"""Whoever waits long is told of once, with the why and the link and no word of theirs."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import chatting
import pytest
from services import until

from flows import alerts
from flows.chat import notices
from flows.chat.notices import look, noticing
from tasks.dialogue import store
from tasks.dialogue.events import Event

HERE = "https://help.example"
LATER = timedelta(minutes=11)


@pytest.fixture
def kept(workdir, monkeypatch):
    monkeypatch.delenv(store.URL, raising=False)
    chatting.project(workdir, team=False)
    with store.opened() as engine:
        yield store.Store(engine, "support")


def waits(kept, name, why="unsure"):
    """A dialogue in which somebody asks and is handed over."""
    kept.add(Event(f"{name}-s", name, "customer", "said", "my secret xyzzy", request=f"{name}-s"))
    kept.move(Event(f"{name}-h", name, "service", "handed_over", detail={"why": why}), "waiting", only=("service",))


def looked(kept, after=LATER):
    look(kept, 10, HERE, datetime.now(UTC) + after)
    return alerts.open_alerts("support")


def test_who_waits_long_is_told_of_once(kept, webhook):
    waits(kept, "d1")
    assert looked(kept, timedelta(minutes=9)) == []
    waits(kept, "d2", "asked")
    for _ in range(3):
        assert sorted(one.subject for one in looked(kept)) == ["d1", "d2"]
    one, two = webhook.got
    assert one["title"] == two["title"] == "Tidegate: support: a customer waits for a person"
    assert one["message"].endswith(f"No answer was sure enough. {HERE}/staff/d1")
    assert "The customer asked for a person." in two["message"]
    assert "xyzzy" not in json.dumps(webhook.got) + "".join(file.read_text() for file in alerts.FOLDER.glob("*.json"))


def test_it_is_over_when_somebody_comes_and_begins_anew_when_handed_over_again(kept, webhook):
    waits(kept, "d1")
    looked(kept)
    kept.move(Event("t", "d1", "Gus", "taken"), "agent", agent="Gus", only=("waiting",))
    assert looked(kept) == []
    kept.move(Event("b", "d1", "Gus", "handed_back"), "service", only=("agent",), by="Gus")
    kept.move(Event("h", "d1", "customer", "handed_over", detail={"why": "asked"}), "waiting", only=("service",))
    assert [one.subject for one in looked(kept)] == ["d1"]
    assert [body["title"].count("Resolved") for body in webhook.got] == [0, 1, 0]


def test_a_thousand_dialogues_make_no_thousand_messages(kept, monkeypatch):
    monkeypatch.setattr(notices, "MOST", 3)
    for n in range(6):
        waits(kept, f"d{n}")
    assert sorted(one.subject for one in looked(kept)) == ["d0", "d1", "d2", "many"]
    assert len(looked(kept)) == 4
    for n in range(4):
        kept.move(Event(f"t{n}", f"d{n}", "Gus", "taken"), "agent", agent="Gus", only=("waiting",))
    assert sorted(one.subject for one in looked(kept)) == ["d4", "d5"]


def test_the_page_looks_by_itself_and_goes_on_after_a_fault(kept, monkeypatch, caplog):
    waits(kept, "d1")
    real, faults = notices.look, [OSError("the disk is away")]

    def flaky(*given):
        if faults:
            raise faults.pop()
        real(*given)

    monkeypatch.setattr(notices, "look", flaky)
    with noticing(kept, None, HERE, 0.01):
        pass
    assert faults, "without a number of minutes nobody looks"
    with noticing(kept, 1e-9, HERE, 0.01):
        until(lambda: alerts.open_alerts("support"))
    assert "OSError: the disk is away" in caplog.text
    assert Path(".tidegate/alerts").is_dir()
