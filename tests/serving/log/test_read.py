"""Windows of the log: which rows, in which order, with which labels."""

from dataclasses import replace
from datetime import timedelta

import answers
import numpy as np
import pytest
from answers import NOON, answered, labelled
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import event

from serving.log import read, retention
from serving.log.database import migrate, open_database, writing
from serving.log.retention import purge
from serving.log.rows import Encoder
from serving.log.settings import LogSettings
from serving.log.summary import summaries

ENCODER = Encoder(LogSettings())


def put(engine, *given):
    answers.put(engine, ENCODER, *given)


def at(minutes):
    return NOON + timedelta(minutes=minutes)


@pytest.fixture
def hour(engine):
    """A request a minute, of two texts; another line and a shadow beside."""
    put(engine, *(answered(f"r{n:02d}", ["one", "two"], time=at(n)) for n in range(60)))
    put(engine, answered("other", line="topic", time=at(3)), answered("r03", ["one"], role="shadow", time=at(3)))
    return engine


def ids(chunks):
    return [f"{id_}/{place}" for chunk in chunks for id_, place in zip(chunk.request_id, chunk.position, strict=True)]


EVERY = [f"r{n:02d}/{place}" for n in range(60) for place in (0, 1)]


@pytest.mark.parametrize("chunk_rows", [1, 7, 40, 120, 1000])
def test_every_row_once_oldest_first(hour, chunk_rows):
    chunks = list(read.window(hour, "sentiment", chunk_rows=chunk_rows))
    assert ids(chunks) == EVERY
    assert max(map(len, chunks)) <= chunk_rows
    assert read.count(hour, "sentiment") == 120


@pytest.mark.parametrize("chunk_rows", [1, 2, 3, 100])
def test_lists_with_every_feedback_the_first_one_first(engine, chunk_rows):
    given = [replace(answered(f"r{n}", ["a", "b"], time=at(n)), listed=[["x", "y"], ["z"]]) for n in range(3)]
    told = [labelled("r1", 1, label, time=at(9 - n)) for n, label in enumerate("xz")]
    put(engine, *given, answered("plain", time=at(1)), *told, labelled("r1", 1, "y", line="other"))
    found = list(read.lists(engine, "sentiment", at(0), at(2), given[0].release, chunk_rows))
    assert [(row.listed, row.label, row.labelled and row.labelled - row.time) for row in found] == [
        ('["x","y"]', None, None), ('["z"]', None, None), ('["x","y"]', None, None),
        ('["z"]', "z", 7 * 60 * 10**6), ('["z"]', "x", 8 * 60 * 10**6),
    ]  # fmt: skip
    assert len({row.id for row in found}) == 4


@pytest.mark.parametrize("last", [0, 1, 7, 119, 120, 500])
def test_the_last_rows(hour, last):
    assert ids(read.window(hour, "sentiment", last=last, chunk_rows=13)) == (EVERY[-last:] if last else [])


def test_of_one_release(hour):
    others = [answered(f"n{n}", ["one", "two"], time=at(n * 20)) for n in range(3)]
    put(hour, *(replace(each, release="bbbbbbbbbbbb") for each in others))
    assert ids(read.window(hour, "sentiment", release="bbbbbbbbbbbb")) == [
        f"n{n}/{p}" for n in range(3) for p in (0, 1)
    ]
    assert ids(read.window(hour, "sentiment", last=3, release="bbbbbbbbbbbb")) == ["n1/1", "n2/0", "n2/1"]
    assert read.count(hour, "sentiment", since=at(10), release="bbbbbbbbbbbb") == 4
    assert read.count(hour, "sentiment") == 126


def test_from_and_to(hour):
    assert ids(read.window(hour, "sentiment", since=at(10), until=at(12))) == EVERY[20:24]
    assert ids(read.window(hour, "sentiment", until=at(12), last=3)) == EVERY[21:24]
    assert ids(read.window(hour, "sentiment", roles=["shadow"])) == ["r03/0"]
    assert list(read.window(hour, "nothing")) == []


def test_the_latest_label_wins_and_all_are_kept(engine):
    put(engine, answered("r1", ["one", "two"], time=NOON), labelled("r1", 0, "early", time=at(1)))
    put(engine, labelled("r1", 0, "late", time=at(3)), labelled("r1", 0, "between", time=at(2)))
    put(engine, labelled("r1", 1, "elsewhere", line="topic", time=at(3)), labelled("stranger", 0, "x"))
    (chunk,) = read.window(engine, "sentiment")
    assert chunk.true_label == ["late", None]
    assert chunk.labelled[0] == np.datetime64("2026-05-01T12:03")
    assert np.isnat(chunk.labelled[1])
    (told,) = summaries(engine, "sentiment")
    assert (told.rows, told.labels, told.strangers) == (2, 1, 1)


def test_a_row_finds_its_label_without_a_look_at_all_labels(workdir):
    engine = open_database("sqlite:///log.db")
    migrate(engine)
    plans = []
    event.listen(engine, "before_cursor_execute", lambda *call: plans.append(call[2:4]))
    list(read.window(engine, "sentiment", last=10))
    with engine.connect() as connection:
        query, values = plans[-1]
        plan = str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values).all())
    assert "autoindex_feedback_1 (request_id=? AND position=?)" in plan
    assert "predictions USING INDEX predictions_window" in plan
    engine.dispose()


def test_columns_are_what_was_answered(engine):
    given_ = answered("r1", ["Ein Film, 10 Minuten", "好看"], time=NOON)
    put(engine, given_, answered("r2", classes=3, time=at(1)))
    (chunk,) = read.window(engine, "sentiment")
    assert np.array_equal(chunk.probabilities[:2, :2], given_.probabilities)
    assert np.isnan(chunk.probabilities[:2, 2]).all()
    assert np.array_equal(chunk.confidence[:2], given_.probabilities.max(axis=1))
    assert chunk.projection.shape == (3, 24)
    assert chunk.script == ["latin", "han", "latin"]
    assert chunk.time[0] == np.datetime64("2026-05-01T12:00")


@given(st.lists(st.integers(0, 5), max_size=12), st.integers(1, 5), st.one_of(st.none(), st.integers(0, 14)))
@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_requests_of_one_moment(engine, minutes, chunk_rows, last):
    with writing(engine).begin() as connection:
        connection.exec_driver_sql("DELETE FROM predictions")
    put(engine, *(answered(f"r{n}", time=at(minute)) for n, minute in enumerate(minutes)))
    ordered = [f"r{n}/0" for n, _ in sorted(enumerate(minutes), key=lambda pair: pair[1])]
    found = ids(read.window(engine, "sentiment", last=last, chunk_rows=chunk_rows))
    assert found == (ordered if last is None else ordered[len(ordered) - min(last, len(ordered)) :])


def test_what_is_old_goes_and_the_rest_stays(hour, monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 7)
    put(hour, *(answered(f"new{n}") for n in range(3)), labelled("r01", time=NOON), labelled("new1"))
    assert purge(hour, 1, "topic") == 1
    assert purge(hour, 1) == 121
    assert ids(read.window(hour, "sentiment")) == ["new0/0", "new1/0", "new2/0"]
    (told,) = summaries(hour)
    assert (told.rows, told.labels, told.strangers) == (3, 1, 0)
