"""`tidegate forget` of a product: headlines out of inbox, opinions and alerts; none comes back, none is read anew."""

from datetime import timedelta
from pathlib import Path

import pytest
from newswire import NOW

from flows import alerts, forget_copies
from flows.forget import forget
from flows.opinion.look import look
from flows.traces import holding
from tasks.core.errors import SettingsError
from tasks.core.line import STATE
from tasks.forgotten import Subject
from tasks.opinion.store import Store, file, opened

HOUR = timedelta(hours=1)
SECRET = "Ada Quisling of Acme is dull awful cold"


@pytest.fixture
def told(wire, monkeypatch):
    """A product with an alert that names the secret; DVC has no part in it."""
    monkeypatch.setattr(forget_copies, "_from_cache", lambda *_: None)
    wire.say(NOW - HOUR, "Acme", text=SECRET)
    wire.say(NOW - HOUR, "Acme")
    look("finance", NOW)
    alerts.raise_alert("finance", "opinion", "warning", "Acme", "why", subject="Acme/x", headlines=[SECRET, "another"])
    return wire


def test_everywhere_and_for_ever(told):
    report = forget("finance", [], [], [SECRET])
    assert "opinions: 1 headline(s) deleted" in str(report)
    assert "inbox: 1 row(s) taken out" in str(report)
    assert "alerts: headlines taken out of 1" in str(report)
    assert "sent already" in "\n".join(report.left)
    assert alerts.open_alerts("finance")[0].headlines == ["another"]
    assert SECRET.encode() not in file().read_bytes()
    meant = Subject(frozenset([SECRET]))
    assert not list(holding(STATE, meant)) and not list(holding(Path("data/finance"), meant))
    assert look("finance", NOW + HOUR).counts.read == 0, "nor is what stayed read again"
    with opened() as engine, engine.connect() as connection:
        assert len(Store(connection, "finance").said("Acme", 0, "negative").ids) == 1


def test_no_index_stays_of_whom_nothing_is_left(wire, monkeypatch):
    monkeypatch.setattr(forget_copies, "_from_cache", lambda *_: None)
    wire.say(NOW - HOUR, "Acme", text=SECRET)
    look("finance", NOW)
    with opened() as engine, engine.connect() as connection:
        assert Store(connection, "finance").drawn("Acme", 0) == {"": 0}
    forget("finance", [], [], [SECRET])
    look("finance", NOW + HOUR)
    with opened() as engine, engine.connect() as connection:
        assert Store(connection, "finance").drawn("Acme", 0) == {}


def test_by_the_id_of_the_feed_and_of_a_line_the_product_is_named(told):
    report = forget("sentiment", [], ["none"], [SECRET])
    assert "the product finance, which has the text too: `tidegate forget finance`" in "\n".join(report.left)
    assert "opinions: 1 headline(s)" in str(forget("finance", [], ["1"], []))
    assert "the product finance" not in str(forget("sentiment", [], [], [SECRET]))


def test_nobody_sends_a_product_requests(wire):
    with pytest.raises(SettingsError, match="finance is a product"):
        forget("finance", ["r1"], [], [])


def test_a_product_has_no_users(wire):
    with pytest.raises(SettingsError, match="finance is a product, whose rows are of no user"):
        forget("finance", [], [], [], ["ann"])
