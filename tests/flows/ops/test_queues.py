"""The first page says how many wait in the chats, and says so when that cannot be known."""

import re
from pathlib import Path

import chatting
import pytest

from flows.ops.queues import Queue, queue
from tasks.dialogue import store
from tasks.dialogue.events import Event
from tasks.dialogue.settings import AnswerSettings

SETTINGS = AnswerSettings(kind="answer", answers="faq", address="https://help.example/")


@pytest.fixture
def project(workdir, monkeypatch):
    monkeypatch.delenv(store.URL, raising=False)
    chatting.project(workdir, team=False)
    return workdir


def handed_over(*names):
    with store.opened() as engine:
        kept = store.Store(engine, "support")
        for name in names:
            kept.add(Event(f"{name}-s", name, "customer", "said", "my secret xyzzy"))
            kept.move(Event(f"{name}-h", name, "service", "handed_over"), "waiting", only=("service",))
        return kept


def test_who_waits_is_counted_by_product(project, monkeypatch):
    assert queue("support", SETTINGS) == Queue(address="https://help.example/staff")
    assert not store.file().exists(), "to look makes none"
    kept = handed_over("d1", "d2", "d3")
    kept.move(Event("t", "d1", "Gus", "taken"), "agent", agent="Gus", only=("waiting",))
    found = queue("support", SETTINGS.model_copy(update={"address": None}))
    assert (found.waiting, found.looked_after, found.colour, found.address) == (2, 1, "amber", None)
    assert found.since is not None
    assert queue("other", SETTINGS).colour == "green"
    Path("no.db").write_text("no database at all, but a text that is long enough")
    monkeypatch.setenv(store.URL, "sqlite:///no.db")
    assert queue("support", SETTINGS).colour == "grey"


def test_the_first_page_has_the_count_and_no_words_of_customers(project, opened):
    handed_over("d1", "d2")
    page = opened().client.get("/").text
    colour, said = re.search(
        r'tile-line (\w+)"[^>]*>(?:(?!tile-line).)*?Help &amp; support(.*?)</li>', page, re.S
    ).groups()
    assert colour == "amber" and "Waiting for a person: 2" in said and "xyzzy" not in page
