"""What becomes of dialogues: forgotten, backed up, restored, cleaned up."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import chatting
import pytest

from flows.backup import backup
from flows.forget import forget
from flows.housekeeping_settings import HousekeepingSettings
from flows.restore import restore
from flows.tidy import PARTS, Round
from tasks.core.errors import SettingsError
from tasks.dialogue import store
from tasks.dialogue.events import Event

SECRET = "my name is xyzzy"


@pytest.fixture
def kept(workdir):
    """A dialogue with a question and its answer, another with other words."""
    chatting.project(workdir, team=False)
    with store.opened() as engine:
        found = store.Store(engine, "support")
        found.add(Event("a", "d1", "customer", "said", SECRET, request="a"))
        found.add(Event("a-a", "d1", "service", "answered", "Hello", request="a"))
        found.add(Event("b", "d2", "customer", "said", "Where is it?", request="b"))
        yield found


def test_by_text_by_request_and_by_dialogue(kept):
    report = forget("support", [], [], [f"  {SECRET}"])
    assert "dialogues: 1 event(s) deleted and overwritten" in str(report)
    assert "the log of faq: `tidegate forget LINE`" in str(report)
    assert b"xyzzy" not in store.file().read_bytes()
    assert "dialogues: 1 event(s)" in str(forget("support", ["a"], [], []))
    assert "dialogues: 1 event(s)" in str(forget("support", [], ["d2"], []))
    assert kept.dialogue("d1") is kept.dialogue("d2") is None
    with pytest.raises(SettingsError, match="Say what to forget"):
        forget("support", [], [], [])


def test_a_line_that_is_asked_to_forget_names_the_product(kept):
    from flows.forget import _in_products, subject_of
    from flows.forget_copies import Report
    from tasks.text import TextSettings

    report = Report()
    _in_products(subject_of([SECRET], [], TextSettings()), report)
    assert report.left == ["the product support, which has the text too: `tidegate forget support`"]


def test_a_backup_brings_them_back(kept, monkeypatch):
    secret, made = kept.secret(), backup(Path("all.tar"))
    assert [name for name in made.files if "chat" in name] == ["dialogues/chat.db"]
    kept.engine.dispose()
    shutil.rmtree(store.file().parent)
    restore(Path("all.tar"))
    with store.opened() as engine:
        again = store.Store(engine, "support")
        assert again.said("d1") == SECRET and again.secret() == secret, "customers find theirs again"
    monkeypatch.setenv(store.URL, "postgresql://127.0.0.1:1/chat")
    with pytest.raises(SettingsError, match="dialogues in SQLite"):
        restore(Path("all.tar"))
    assert "the database of dialogues" in str(backup(Path("other.tar")))


def test_the_clean_up_lets_go_of_old_ones(kept):
    later = datetime.now(UTC) + timedelta(days=60)
    for days, said in ((90, []), (30, ["dialogues in which nothing was said for 30 days: 2"])):
        for dry_run in (True, False):
            this = Round(HousekeepingSettings(dialogue_days=days), later, dry_run)
            assert list(PARTS["dialogues"](this, [])) == said
    assert kept.open(("service",)) == []


def test_nothing_is_made_where_nobody_chats(workdir):
    this = Round(HousekeepingSettings(), datetime.now(UTC), False)
    assert not list(PARTS["dialogues"](this, []))
    assert not store.file().exists()
