"""Out of the spool into the database: while it is away, when it comes back, and what it will not take."""

import logging
import sqlite3
import time
from pathlib import Path

import pytest
from answers import NOON, answered, labelled
from sqlalchemy import func, select

from serving.log import database
from serving.log.database import open_database
from serving.log.drain import Drain
from serving.log.recorder import LogRecorder
from serving.log.rows import Encoder, microseconds
from serving.log.settings import LogSettings
from serving.log.spool import Writer, waiting
from serving.log.tables import feedback, losses, predictions
from serving.metrics import Metrics


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


@pytest.fixture
def recorder(settings):
    """A recorder at work."""
    recorder = LogRecorder(settings, Metrics())
    recorder.start()
    yield recorder
    recorder.stop(10)


def value(metrics, name):
    return metrics.registry.get_sample_value(name)


def test_answers_and_labels_arrive(recorder, engine):
    recorder.answered(answered("r1", ["great", "awful film"], time=NOON))
    recorder.feedback(labelled("r1", 1))
    assert recorder.stop(10)
    with engine.connect() as connection:
        rows = connection.execute(select(predictions).order_by(predictions.c.position)).all()
        labels = connection.execute(select(feedback)).all()
    assert [(row.request_id, row.position, row.text, row.words) for row in rows] == [
        ("r1", 0, "great", 1), ("r1", 1, "awful film", 2),
    ]  # fmt: skip
    assert rows[0].time == microseconds(NOON)
    assert [(row.request_id, row.position, row.label) for row in labels] == [("r1", 1, "label0")]
    assert waiting(Path(recorder.settings.spool)) == []
    assert value(recorder.metrics, "tidegate_spool_records") == 0


def test_what_is_drained_leaves_the_disk_while_the_service_runs(recorder):
    recorder.answered(answered())
    wait_for(lambda: not waiting(Path(recorder.settings.spool)))
    assert not list(Path(recorder.settings.spool).glob("*/*.spool"))


def test_a_database_that_stops_and_starts(postgres, caplog, monkeypatch):
    monkeypatch.setattr("serving.log.drain.LONGEST_WAIT", 0.2)
    settings = LogSettings(url=postgres.url(), drain_seconds=0.02)
    recorder = LogRecorder(settings, Metrics())
    recorder.start()
    recorder.answered(answered("before"))
    wait_for(lambda: value(recorder.metrics, "tidegate_spool_records") == 0 and not waiting(Path(settings.spool)))
    postgres.stop()
    try:
        for n in range(50):
            recorder.answered(answered(f"during{n}"))
        wait_for(lambda: value(recorder.metrics, "tidegate_spool_records") == 50)
        assert value(recorder.metrics, "tidegate_spool_bytes") > 5_000
    finally:
        postgres.start()
    recorder.answered(answered("after"))
    assert recorder.stop(20)
    engine = open_database(settings.url)
    with engine.connect() as connection:
        ids = connection.scalars(select(predictions.c.request_id)).all()
    engine.dispose()
    assert sorted(ids) == sorted(["before", "after", *(f"during{n}" for n in range(50))])
    said = [record.getMessage() for record in caplog.records if record.name == "tidegate"]
    assert sum("cannot be reached" in message for message in said) == 1
    assert sum("written again" in message for message in said) == 1


def test_a_start_without_a_database_waits_for_it(postgres):
    url = postgres.url()
    postgres.stop()
    try:
        recorder = LogRecorder(LogSettings(url=url, drain_seconds=0.02), Metrics())
        recorder.start()
        recorder.answered(answered())
    finally:
        postgres.start()
    assert recorder.stop(30)


def test_an_end_without_a_database_leaves_the_spool_to_the_next(workdir, monkeypatch):
    monkeypatch.setattr(database, "BUSY_MS", 50)
    settings = LogSettings(url="sqlite:///log.db", drain_seconds=0.02)
    first = LogRecorder(settings, Metrics())
    first.start()
    wait_for(lambda: Path("log.db").exists())
    lock = sqlite3.connect("log.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    first.answered(answered())
    assert not first.stop(10)
    assert len(waiting(Path(settings.spool))) == 1
    lock.close()
    second = LogRecorder(settings, Metrics())
    second.start()
    assert second.stop(10)
    assert waiting(Path(settings.spool)) == []


def test_what_the_database_refuses_is_counted_and_stops_nothing(settings, engine, caplog):
    writer, encoder = Writer(Path(settings.spool), 1 << 20), Encoder(settings)
    for n in range(9):
        record = encoder.feedback(labelled(f"r{n}"))
        writer.append(record.replace(b'"label0"', b"null") if n == 4 else record)
    metrics = Metrics()
    drain = Drain(settings, metrics, writer)
    drain.once()
    with engine.connect() as connection:
        ids = connection.scalars(select(feedback.c.request_id)).all()
        refused = connection.execute(select(losses.c.kind, losses.c.first, losses.c.count)).all()
    assert sorted(ids) == [f"r{n}" for n in range(9) if n != 4]
    assert [tuple(row) for row in refused] == [("refused", 5, 1)]
    assert value(metrics, "tidegate_spool_lost_total") == 1
    assert "refuses record 5" in caplog.text
    drain.close()


def test_drops_are_told_once(settings, engine):
    writer, encoder = Writer(Path(settings.spool), 700), Encoder(settings)
    metrics = Metrics()
    drain = Drain(settings, metrics, writer)
    for _ in range(3):
        for n in range(20):
            writer.append(encoder.feedback(labelled(f"r{n}")))
        drain.once()
        drain.once()
    with engine.connect() as connection:
        told = connection.scalar(select(func.sum(losses.c.count)).where(losses.c.kind == "dropped"))
    assert told == writer.dropped > 0
    drain._measure()
    assert value(metrics, "tidegate_spool_dropped_total") == writer.dropped
    drain.close()


def test_adopted_bytes_need_room_as_well(settings, engine):
    old = Writer(Path(settings.spool), 1 << 20)
    old.append(bytes(600))
    old.close()
    old.counters.close()
    old._held.release(force=True)
    new = Writer(Path(settings.spool), 700)
    drain = Drain(settings, Metrics(), new)
    drain._adopt()
    assert not new.append(bytes(200))
    drain.close()


def test_the_drain_says_no_text(settings, engine, caplog):
    writer = Writer(Path(settings.spool), 1 << 20)
    record = Encoder(settings).feedback(labelled("r1", label="a secret"))
    writer.append(record.replace(b'"time":', b'"time":"x","was":'))
    with caplog.at_level(logging.DEBUG, logger="tidegate"):
        drain = Drain(settings, Metrics(), writer)
        drain.once()
    assert "secret" not in caplog.text
    drain.close()
