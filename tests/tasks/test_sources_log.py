"""The source kind `log`: which labelled answers become rows, each text once, however late its label comes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
import yaml
from answers import answered, labelled
from hypothesis import given
from hypothesis import strategies as st

from serving.log import settings as log_settings
from serving.log import store, tables
from serving.log.database import migrate, open_database, writing
from serving.log.forget import Wanted, erase
from serving.log.read import ANSWERED
from serving.log.rows import Encoder
from serving.log.settings import LogSettings, load_log
from tasks import inbox
from tasks.core.errors import SettingsError, SourceError
from tasks.core.line import Line
from tasks.forgotten import Subject, take_out
from tasks.ingest import IngestSettings, ingest
from tasks.sources import log, parse_sources
from tasks.sources.drawn import Candidates, drawn
from tasks.sync import alone, news, sync
from tasks.text import TextSettings, split_key

LINE, TEXT = Line("made"), TextSettings()
NOW = datetime.now(UTC)
SPOOL = SimpleNamespace(name="made", settled=0, torn=False)


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request, workdir, monkeypatch):
    """An empty log of either kind, which the environment names."""
    url = "sqlite:///log.db" if request.param == "sqlite" else request.getfixturevalue("postgres").url()
    monkeypatch.setenv(log.URL, url)
    monkeypatch.delenv(log_settings.KEY, raising=False)
    params()
    engine = open_database(url)
    migrate(engine)
    yield engine
    engine.dispose()


def params(**log_block):
    Path("params.yaml").write_text(yaml.safe_dump({"lines": {"made": {}}, "serving": {"log": log_block}}))


def source(**block):
    return parse_sources({"sources": [{"kind": "log", "name": "live", "line": "made", "min_new": 1, **block}]}, "made")


def put(engine, *given, **settings):
    """Records as the drain stores them."""
    encoder = Encoder(LogSettings(**settings))
    payloads = [encoder.answers(each) if hasattr(each, "texts") else encoder.feedback(each) for each in given]
    with writing(engine).begin() as connection:
        store.insert(connection, SPOOL, store.Batch.of([store.Record(n, each) for n, each in enumerate(payloads, 1)]))


def asked(number, text=None, days=1.0, **more):
    return answered(f"r{number}", [text or f"text {number}"], "made", NOW - timedelta(days=days), **more)


def told(number, label, days=1.0, minutes=0):
    return labelled(f"r{number}", 0, label, "made", NOW - timedelta(days=days) + timedelta(minutes=minutes))


def pairs(engine, labels, first=0, **more):
    """Answers with their labels."""
    for n, label in enumerate(labels, first):
        put(engine, asked(n, **more), told(n, label))


def taken():
    rows = [row for path in inbox.batches(LINE) for row in pq.read_table(path).to_pylist()]
    return sorted((row["text"], row["label"]) for row in rows)


def test_rows_with_a_label_are_taken_and_no_others(engine):
    put(
        engine,
        asked(1),
        asked(2),
        told(1, "positive"),
        told(9, "positive"),
        asked(3, role="shadow"),
        told(3, "negative"),
    )
    put(engine, asked(4, role="canary"), told(4, "negative"), answered("other", ["else"], "topic"))
    sync(LINE, source(), TEXT)
    assert taken() == [("text 1", "positive"), ("text 4", "negative")]
    (batch,) = inbox.batches(LINE)
    known = inbox.provenance(batch)
    assert (known["source"], known["kind"], known["rows"]) == ("live", "log", 2)
    row = pq.read_table(batch).to_pylist()[0]
    assert row["created_at"] == NOW - timedelta(days=1)


def test_the_latest_label_counts(engine):
    put(
        engine, asked(1), told(1, "positive", minutes=2), told(1, "negative", minutes=5), told(1, "positive", minutes=1)
    )
    pairs(engine, ["positive"], first=2)
    sync(LINE, source(), TEXT)
    assert taken() == [("text 1", "negative"), ("text 2", "positive")]


def test_a_second_sync_takes_only_what_is_new_however_late_its_label_came(engine):
    put(engine, asked(1, days=9), asked(2), told(2, "positive"))
    pairs(engine, ["negative"], first=3)
    sync(LINE, source(), TEXT)
    assert not news(LINE, source())
    assert sync(LINE, source(), TEXT) == []
    put(engine, told(1, "negative", days=0.5))
    assert news(LINE, source())
    assert len(sync(LINE, source(), TEXT)) == 1
    assert [text for text, _ in taken()] == ["text 1", "text 2", "text 3"]


def test_an_answer_that_comes_after_its_label_is_taken(engine):
    pairs(engine, ["negative"])
    put(engine, told(7, "positive"))
    sync(LINE, source(largest_share=1), TEXT)
    put(engine, asked(7))
    pairs(engine, ["negative"], first=8)
    sync(LINE, source(largest_share=1), TEXT)
    assert ("text 7", "positive") in taken()


def test_a_text_is_taken_once_however_often_it_is_sent(engine):
    for n in range(5):
        put(engine, asked(n, "the same"), told(n, "positive", minutes=n))
    pairs(engine, ["negative"], first=5)
    sync(LINE, source(), TEXT)
    put(engine, asked(6, "the same"), told(6, "positive", days=0.1))
    sync(LINE, source(), TEXT)
    assert taken() == [("text 5", "negative"), ("the same", "positive")]


@pytest.mark.parametrize("labels", [["negative"], ["negative", "positive"], ["negative", "positive", "negative"]])
def test_a_text_whose_label_was_corrected_has_the_last_one(engine, labels):
    pairs(engine, ["positive", "negative"])
    sync(LINE, source(largest_share=1), TEXT)
    for minute, label in enumerate(labels, start=1):
        put(engine, told(0, label, minutes=minute))
        assert len(sync(LINE, source(largest_share=1), TEXT)) == 1
    Path("out").mkdir()
    ingest(LINE, settings=IngestSettings(), text=TEXT, out=Path("out"))
    rows = pq.read_table("out/rows.parquet").to_pylist()
    assert sorted((row["text"], row["label"]) for row in rows) == [("text 0", labels[-1]), ("text 1", "negative")]


def test_too_few_new_labels_wait(engine):
    pairs(engine, ["positive", "negative"])
    assert not news(LINE, source(min_new=3))
    assert sync(LINE, source(min_new=3), TEXT) == []
    pairs(engine, ["positive"], first=2)
    assert news(LINE, source(min_new=3))
    assert len(sync(LINE, source(min_new=3), TEXT)) == 1


def test_a_log_that_begins_anew_is_read_anew(engine):
    pairs(engine, ["positive", "negative"] * 3)
    sync(LINE, source(), TEXT)
    with writing(engine).begin() as connection:
        for table in (tables.predictions, tables.feedback):
            connection.execute(table.delete())
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("ALTER SEQUENCE feedback_id_seq RESTART")
    pairs(engine, ["positive", "negative"], first=20)
    assert news(LINE, source())
    sync(LINE, source(), TEXT)
    assert ("text 20", "positive") in taken()


def test_policy_age_callers_cap_and_share(engine):
    pairs(engine, ["positive", "negative"] * 20)
    put(engine, asked(90, days=40), told(90, "positive", days=40))
    sync(LINE, source(days=30), TEXT)
    assert len(taken()) == 40
    assert sync(LINE, source(days=30, callers={"shop": 0}, name="none"), TEXT) == []
    sync(LINE, source(max_rows=10, name="ten"), TEXT)
    assert len(taken()) == 50
    put(engine, *(asked(n) for n in range(100, 200)), *(told(n, "positive") for n in range(100, 200)))
    sync(LINE, source(name="even", largest_share=0.5), TEXT)
    assert [label for _, label in taken()[50:]].count("negative") <= 40
    assert len(taken()) == 90


def test_what_is_forgotten_does_not_come(engine):
    pairs(engine, ["positive", "negative", "positive"])
    sync(LINE, source(), TEXT)
    text = "text 0"
    erase(engine, Wanted("made", texts=[text]))
    with alone(LINE):
        take_out(LINE, Subject(frozenset([text]), frozenset([split_key(text, TEXT.split_salt)])), TEXT.split_salt)
    pairs(engine, ["positive"], first=8)
    put(engine, asked(9, text), told(9, "positive"))
    sync(LINE, source(), TEXT)
    assert [found for found, _ in taken()] == ["text 1", "text 2", "text 8"]


@pytest.mark.parametrize("kept", ["hmac", "off"])
def test_a_log_without_texts_teaches_nothing(engine, monkeypatch, kept):
    monkeypatch.setenv(log_settings.KEY, "k" * 32)
    put(engine, asked(1), told(1, "positive"), text=kept)
    params(text=kept)
    assert not news(LINE, source(largest_share=1))
    params()
    assert sync(LINE, source(largest_share=1), TEXT) == []


def test_no_log_yet(workdir, monkeypatch):
    monkeypatch.delenv(log.URL, raising=False)
    params()
    assert not news(LINE, source())
    assert sync(LINE, source(), TEXT) == []
    assert not (workdir / ".tidegate/predictions.db").exists()


def test_a_database_that_is_away(workdir, monkeypatch):
    monkeypatch.setenv(log.URL, "postgresql://jane:hush@127.0.0.1:1/base")
    params()
    assert news(LINE, source())
    with pytest.raises(SourceError, match="prediction log") as caught:
        sync(LINE, source(), TEXT)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("block", "said"),
    [({"columns": {"text": "x"}}, "leave"), ({"callers": {"a": -1}}, "0 or more"), ({"largest_share": 0.2}, "0.5")],
)
def test_settings_that_are_wrong(block, said):
    with pytest.raises(SettingsError, match=said):
        source(**block)


def test_tasks_and_serving_agree_on_the_log(workdir, monkeypatch):
    monkeypatch.delenv(log.URL, raising=False)
    for mine, theirs in zip(log._tables(), (tables.predictions, tables.feedback), strict=True):
        assert mine.name == theirs.name
        assert set(mine.c.keys()) <= set(theirs.c.keys())
    assert (log.URL, log.ANSWERED) == (log_settings.URL, ANSWERED)
    params()
    assert log.database() == load_log().database() == LogSettings().url
    params(url="sqlite:///elsewhere.db", text=False)
    assert log.database() == load_log().database()
    assert log.keeps_texts() is (load_log().text == "masked")
    assert sa.make_url(log.DEFAULT).database == ".tidegate/predictions.db"


def candidates(labels, ages, contents=None):
    rows = len(labels)
    return Candidates(
        np.arange(rows), contents or [f"t{n}".encode() for n in range(rows)], np.array(labels, object),
        np.arange(rows), -np.log(2) * np.array(ages, float) / 14,
    )  # fmt: skip


ROWS = st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 900), st.integers(0, 30)), max_size=60)


@given(ROWS, st.integers(1, 70), st.floats(0.5, 1))
def test_whatever_the_rows_the_policy_holds(rows, most, share):
    of = candidates(*([row[n] for row in rows] for n in (0, 1)), [bytes([row[2]]) for row in rows])
    chosen = drawn(of, most, share)
    assert len(chosen) <= most
    assert len({of.content[place] for place in chosen}) == len(chosen)
    for label in "abc" if share < 1 else "":
        assert (of.label[chosen] == label).sum() <= share * len(chosen) + 1e-6


@given(st.lists(st.floats(0, 900), min_size=5, max_size=60), st.floats(0, 500))
def test_a_draw_does_not_change_with_the_day(ages, later):
    labels = ["a"] * len(ages)
    before = drawn(candidates(labels, ages), 4, 1)
    assert list(before) == list(drawn(candidates(labels, [age + later for age in ages]), 4, 1))


def test_newer_rows_are_drawn_sooner():
    ages = [0.0] * 200 + [56.0] * 200
    chosen = drawn(candidates(["a"] * 400, ages), 100, 1)
    assert (chosen < 200).sum() > 80  # 16 to 1
