"""Dialogues are kept once, change hands once, grow old and are forgotten."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from tasks.core.errors import TidegateError
from tasks.dialogue import store
from tasks.dialogue.events import Event
from tasks.dialogue.forget import erase
from tasks.dialogue.store import Store, drop_old
from tasks.forgotten import Subject


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request, workdir, monkeypatch):
    """The database of dialogues, made anew: the file that is the default, or one of a server."""
    monkeypatch.delenv(store.URL, raising=False)
    if request.param == "postgresql":
        monkeypatch.setenv(store.URL, request.getfixturevalue("postgres").url())
    with store.opened() as found:
        yield found


@pytest.fixture
def kept(engine):
    return Store(engine, "support")


def said(name, dialogue="d1", text="hello", **more):
    return Event(name, dialogue, "customer", "said", text, request=name, **more)


def test_an_event_is_kept_once_and_by_product(kept, engine):
    assert kept.add(said("a")) and not kept.add(said("a"))
    assert [event.id for event in kept.events("d1")] == ["a"]
    assert Store(engine, "other").events("d1") == []
    assert kept.said("d1") == "hello" and kept.said("d2") == ""


def test_a_file_is_for_its_owner_alone(workdir, monkeypatch):
    monkeypatch.delenv(store.URL, raising=False)
    with store.opened() as found:
        Store(found, "support").add(said("a"))
    assert store.file().stat().st_mode & 0o77 == 0


def test_one_of_many_takes_what_nobody_has(kept):
    kept.move(Event("h", "d1", "service", "handed_over"), "waiting", only=("service",))
    names = [f"p{n}" for n in range(12)]

    def take(name):
        return kept.move(Event(name, "d1", name, "taken"), "agent", agent=name, only=("waiting",))

    with ThreadPoolExecutor(12) as pool:
        taken = [name for name, done in zip(names, pool.map(take, names), strict=True) if done]
    assert taken == [kept.dialogue("d1").agent]
    assert [event.who for event in kept.events("d1")] == ["service", *taken]
    closing = Event("c", "d1", "x", "closed")
    assert not kept.move(closing, "closed", only=("agent",), by="x")
    assert kept.dialogue("d1").state == "agent"


def test_what_begins_a_dialogue_twice_at_once_is_kept_twice(kept):
    names = [f"s{n}" for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda name: kept.add(said(name)), names))
    assert sorted(event.id for event in kept.events("d1")) == names


def test_the_secret_is_made_once(kept, engine):
    assert kept.secret() == Store(engine, "other").secret() and len(kept.secret()) == 32


def test_old_dialogues_go_as_a_whole(kept, engine):
    long_ago = int((datetime.now(UTC) - timedelta(days=100)).timestamp() * 1e6)
    kept.add(said("a", "old", time=long_ago))
    kept.add(said("b", "new", time=long_ago))
    kept.add(said("c", "new"))
    before = int((datetime.now(UTC) - timedelta(days=90)).timestamp() * 1e6)
    assert drop_old(engine, before, dry_run=True) == 1 and kept.dialogue("old")
    assert drop_old(engine, before) == 1
    assert kept.dialogue("old") is None and kept.events("old") == []
    assert len(kept.events("new")) == 2


def test_what_is_forgotten_is_gone_from_the_disk(kept, engine):
    kept.add(said("a", text="my secret xyzzy"))
    kept.add(Event("a-a", "d1", "service", "answered", "An answer", request="a"))
    kept.add(said("b", "d2", "stays"))
    kept.add(said("c", "d3", "whole dialogue"))
    kept.add(Event("r", "d2", "customer", "rated", "stays", request="b"))
    assert erase(engine, "other", Subject(frozenset(["stays"]))) == 0
    assert erase(engine, "support", Subject(frozenset(["my secret xyzzy"]))) == 1
    assert erase(engine, "support", Subject(frozenset()), ["a"]) == 1
    assert erase(engine, "support", Subject(frozenset(), ids=frozenset(["d3"]))) == 1
    assert kept.dialogue("d1") is None and kept.dialogue("d3") is None
    assert [event.text for event in kept.events("d2")] == ["stays", "stays"]
    if (file := store.file()) is not None:
        assert b"xyzzy" not in file.read_bytes()
    assert kept.why("d2") == ""


def test_a_message_in_lines_is_forgotten_by_its_text(kept, engine):
    kept.add(said("a", text="Hello,\n\nmy name is\nxyzzy"))
    assert erase(engine, "support", Subject(frozenset(["Hello, my name is xyzzy"]))) == 1
    assert kept.dialogue("d1") is None


def test_a_database_that_cannot_be_used_is_told(workdir, monkeypatch):
    (workdir / "no.db").write_text("no database at all, but a text that is long enough")
    monkeypatch.setenv(store.URL, "sqlite:///no.db")
    with pytest.raises(TidegateError, match="cannot be kept or read"), store.opened():
        pass


def test_a_broken_statement_is_told_without_its_parameters(kept, engine):
    with engine.begin() as connection:
        connection.execute(sa.text("drop table chat_events"))
    with pytest.raises(TidegateError, match=r"no such table|does not exist") as error:
        kept.add(said("a", text="private"))
    assert "private" not in str(error.value)
