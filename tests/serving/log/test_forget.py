"""Forgetting: no byte of a text is left in the log's files, and none comes back out of a spool."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from answers import NOON, answered, labelled
from sqlalchemy import delete, insert, select

from serving.log.database import migrate, open_database
from serving.log.drain import Drain, drain_leftovers
from serving.log.forget import Wanted, erase, overwrite, remember, wait_for_spools
from serving.log.recorder import LogRecorder
from serving.log.rows import Encoder, content
from serving.log.settings import KEY, LogSettings
from serving.log.spool import Writer
from serving.log.tables import feedback, predictions
from serving.metrics import Metrics

TEXT = "my neighbour Anna hates the film"
LINE = "sentiment"


def by_text(text=TEXT, key=None):
    return Wanted(LINE, contents=[bytes.fromhex(content(text, key))], texts=[text])


def ids(engine, table=predictions):
    with engine.connect() as connection:
        return sorted(set(connection.scalars(select(table.c.request_id))))


def fill(settings, writer=None):
    writer = writer or Writer(Path(settings.spool), 1 << 20)
    encoder = Encoder(settings)
    for n in range(300):
        text = TEXT if n % 50 == 7 else f"{TEXT.upper()}  " if n == 99 else f"a plain text, number {n} " * 5
        writer.append(encoder.answers(answered(f"r{n}", [text, "another"], time=NOON + timedelta(seconds=n))))
        writer.append(encoder.feedback(labelled(f"r{n}", 0)))
    return writer


MEANT = {"r7", "r57", "r99", "r107", "r157", "r207", "r257"}


@pytest.fixture
def filled(settings, engine):
    """300 requests, seven of which hold the text."""
    drain = Drain(settings, Metrics(), fill(settings))
    drain.once()
    drain.close()
    return engine


def bytes_on_disk():
    return b"".join(path.read_bytes() for path in Path().rglob("*") if path.is_file()).lower()


def test_by_content_nothing_is_left(filled):
    remember(filled, by_text())
    assert erase(filled, by_text()) == 7
    with filled.connect() as connection:
        rows = connection.execute(select(predictions.c.request_id, predictions.c.position)).all()
    assert len(rows) == 593
    assert MEANT.isdisjoint(row.request_id for row in rows if row.position == 0)
    with filled.connect() as connection:
        assert MEANT.isdisjoint(connection.scalars(select(feedback.c.request_id)))


def test_no_byte_is_left_in_sqlites_files(workdir):
    settings = LogSettings(url="sqlite:///log.db", keep_days=36_500)
    engine = open_database(settings.url)
    drain = Drain(settings, Metrics(), fill(settings))
    drain.once()
    assert b"anna hates" in bytes_on_disk()
    erase(engine, by_text())
    assert Path("log.db-wal").exists()  # a service that runs holds it open
    assert b"anna hates" not in bytes_on_disk()
    assert len(ids(engine)) == 300
    drain.close()
    engine.dispose()


def test_pages_that_were_merged_keep_nothing(workdir):
    engine = open_database("sqlite:///log.db")
    migrate(engine)
    rng = np.random.default_rng(0)
    ids = list(range(5000))
    row = {"time": 0, "position": 0, "line": LINE, "source": "s"}
    rows = [{**row, "request_id": str(n), "label": f"secret{n:06d} {'x' * rng.integers(900)}"} for n in ids]
    with engine.begin() as connection:
        connection.execute(insert(feedback), rows)
    rng.shuffle(ids)
    for first in range(0, 3500, 50):
        with engine.begin() as connection:
            connection.execute(delete(feedback).where(feedback.c.request_id.in_(map(str, ids[first : first + 50]))))
    overwrite(engine)
    content = bytes_on_disk()
    assert not [n for n in ids[:3500] if f"secret{n:06d}".encode() in content]
    engine.dispose()


def test_by_request_with_all_its_texts_and_labels(filled):
    wanted = Wanted(LINE, request_ids=["r3", "r4"])
    assert erase(filled, wanted) == 4
    assert {"r3", "r4"}.isdisjoint(ids(filled))
    assert {"r3", "r4"}.isdisjoint(ids(filled, feedback))


def test_another_line_is_left_alone(filled):
    assert erase(filled, Wanted("topic", ["r1"], by_text().contents, [TEXT])) == 0
    assert len(ids(filled)) == 300


def test_what_waits_in_a_spool_does_not_come_back(settings, engine):
    writer = fill(settings)
    wanted = Wanted(LINE, ["r3"], by_text().contents, [TEXT])
    remember(engine, wanted)
    late = answered("later", [TEXT])  # sent anew after all was forgotten
    writer.append(Encoder(settings).answers(late))
    drain = Drain(settings, Metrics(), writer)
    drain.once()
    drain.close()
    with engine.connect() as connection:
        kept = connection.execute(select(predictions.c.request_id, predictions.c.text)).all()
    assert {row.request_id for row in kept if "anna" in row.text.lower()} == {"later"}
    assert "r3" not in {row.request_id for row in kept}
    assert "r3" not in ids(engine, feedback)


def test_a_running_service_drains_what_is_waited_for(settings, engine):
    recorder = LogRecorder(settings, Metrics())
    recorder.start()
    recorder.answered(answered("r1", [TEXT], time=NOON))
    remember(engine, by_text())
    drain_leftovers(settings)  # there are none, and the service's own is not touched
    assert wait_for_spools(Path(settings.spool), 20) == []
    erase(engine, by_text())
    assert ids(engine) == []
    recorder.stop(10)


@pytest.mark.parametrize("mode", ["hmac", "off"])
def test_by_content_where_no_text_is_kept(engine, url, monkeypatch, mode):
    monkeypatch.setenv(KEY, "k" * 32)
    settings = LogSettings(url=url, text=mode, keep_days=36_500)
    writer = fill(settings)
    assert b"anna" not in b"".join(path.read_bytes() for path in writer.folder.iterdir()).lower()
    drain = Drain(settings, Metrics(), writer)
    drain.once()
    assert erase(engine, by_text(key="k" * 32)) == 7
    drain.close()


def test_an_old_key_hides_no_text_that_is_kept(filled):
    assert erase(filled, by_text(key="another")) == 6  # not the one in capitals: only the hash is blind to those


def test_an_empty_database(url):
    engine = open_database(url)
    migrate(engine)
    assert erase(engine, by_text()) == 0
    engine.dispose()
