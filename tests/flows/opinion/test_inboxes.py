"""Many small batches of a product's inbox become one: no row is lost, none is looked at twice."""

from datetime import timedelta
from pathlib import Path

import pytest
from newswire import NOW

from flows.lock import hold
from flows.opinion.inboxes import consolidate
from flows.opinion.look import look
from tasks import consolidate as small
from tasks import inbox
from tasks.core.errors import BusyError
from tasks.core.line import Line
from tasks.opinion.store import Store, opened

HOUR = timedelta(hours=1)
LINE = Line("finance")


@pytest.fixture
def often(wire, monkeypatch):
    """A product that looked four times, each time with news."""
    monkeypatch.setattr(small, "FEW", 3)
    for n in range(4):
        wire.say(NOW + n * HOUR, "Acme")
        look("finance", NOW + n * HOUR)
    return wire


def rows():
    return sorted(key for path in inbox.batches(LINE) for key in inbox.row_keys(path))


def kept():
    with opened() as engine, engine.connect() as connection:
        return len(Store(connection, "finance").said("Acme", 0, "negative").ids)


def test_a_look_without_news_writes_no_batch(often):
    before = inbox.batches(LINE)
    assert len(before) == 4
    Path("wire.csv").touch()
    assert look("finance", NOW + 4 * HOUR).counts.read == 0
    assert inbox.batches(LINE) == before


def test_batches_become_one_and_looks_go_on(often):
    before = rows()
    bytes_of = {inbox.provenance(path)["sha256"] for path in inbox.batches(LINE)}
    assert consolidate(LINE, dry_run=True) == 4 and len(inbox.batches(LINE)) == 4
    assert consolidate(LINE) == 4
    (one,) = inbox.batches(LINE)
    assert rows() == before
    told = inbox.provenance(one)
    assert (told["rows"], len(told["was"]), set(told["digests"])) == (4, 4, bytes_of)
    assert look("finance", NOW + 5 * HOUR).counts.read == 0
    often.say(NOW + 6 * HOUR, "Acme")
    assert look("finance", NOW + 6 * HOUR).counts.kept == 1
    assert (kept(), len(inbox.batches(LINE))) == (5, 2)
    assert consolidate(LINE) == 0, "few batches are left as they are"


def test_killed_before_the_old_ones_went_the_next_one_ends_it(often, monkeypatch):
    class KilledError(BaseException):
        pass

    def kill(*_):
        raise KilledError

    before = rows()
    with monkeypatch.context() as patch:
        patch.setattr(Store, "done", kill)
        with pytest.raises(KilledError):
            consolidate(LINE)
    assert len(inbox.batches(LINE)) == 5
    assert look("finance", NOW + 5 * HOUR).counts.kept == 0
    assert consolidate(LINE) == 4
    assert (rows(), kept()) == (before, 4)


def test_what_no_look_has_taken_or_dvc_keeps_is_left(often):
    with opened() as engine, engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM opinion_taken")
    assert consolidate(LINE) == 0
    assert len(inbox.batches(LINE)) == 4
    look("finance", NOW + 5 * HOUR)
    pin = LINE.inbox.with_name("inbox.dvc")
    pin.write_text("outs: []\n")
    assert consolidate(LINE) == 0
    pin.unlink()
    with hold("opinion-finance", "busy"), pytest.raises(BusyError, match="A look of finance"):
        consolidate(LINE)
    assert consolidate(LINE) == 4
