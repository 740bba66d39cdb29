"""Rows of a database: each once, in order, through outages; changes said; nothing secret told."""

import logging
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks import feeds, inbox, packages
from tasks.core.errors import SettingsError, SourceError
from tasks.core.line import Line
from tasks.sources import database, parse_sources, sql
from tasks.sync import news, sync
from tasks.text import TextSettings

LINE, TEXT = Line("made"), TextSettings()
PASSWORD = "s3cr3t-pa55"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(packages, "FIRST_WAIT", 0.02)
    monkeypatch.setattr(sql, "CHUNK", 10)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, workdir):
    """A database of either kind with an empty table `reviews`."""
    if request.param == "sqlite":
        return filled("sqlite:///made.db")
    return filled(request.getfixturevalue("postgres").url())


@pytest.fixture
def served(postgres, workdir):
    return filled(postgres.url())


def filled(url):
    execute(url, "CREATE TABLE reviews (id INTEGER PRIMARY KEY, body TEXT, label TEXT, updated_at INTEGER)")
    return url


def execute(url, *statements):
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))
    engine.dispose()


def insert(url, numbers, at=None):
    rows = ", ".join(f"({n}, 'text {n}', 'a', {at if at is not None else n // 3})" for n in numbers)
    execute(url, f"INSERT INTO reviews VALUES {rows}")  # noqa: S608


def source(monkeypatch, database, **block):
    monkeypatch.setenv("REVIEWS_DB", database)
    block = {
        "kind": "sql", "name": "s", "url_env": "REVIEWS_DB", "query": "SELECT * FROM reviews",
        "watermark": {"column": "updated_at", "tie_breaker": "id"},
        "columns": {"id": "id", "text": "body", "label": "label"},
    } | block  # fmt: skip
    return parse_sources({"sources": [block]}, "made")


def taken(column="text"):
    return [text for path in inbox.batches(LINE) for text in pq.read_table(path)[column].to_pylist()]


def after_portions(monkeypatch, number, act):
    """Do something when that many portions are set aside."""
    real, count = feeds.Aside.add, iter(range(1, 10_000))

    def add(self, *given):
        real(self, *given)
        if next(count) == number:
            act()

    monkeypatch.setattr(feeds.Aside, "add", add)


def test_a_second_sync_takes_only_what_is_new(url, monkeypatch):
    insert(url, range(25))
    made = source(monkeypatch, url)
    assert news(LINE, made)
    (first,) = sync(LINE, made, TEXT)
    assert taken() == [f"text {n}" for n in range(25)]
    assert not news(LINE, made)
    assert sync(LINE, made, TEXT) == []
    insert(url, [25, 26], at=8)  # of the watermark at which the first sync ended
    assert news(LINE, made)
    (second,) = sync(LINE, made, TEXT)
    assert pq.read_table(second)["text"].to_pylist() == ["text 25", "text 26"]
    told = inbox.provenance(second)
    assert {"kind": "sql", "rows": 2, "duplicates": 0, "number": 2, "follows": first.stem}.items() <= told.items()
    assert told["mark"] == {
        "end": [8, 26], "population": 27, "types": {"id": "whole number", "text": "text", "label": "text"},
    }  # fmt: skip
    assert not news(LINE, made)


def test_the_policy_is_applied_before_the_first_write(url, monkeypatch):
    execute(url, "INSERT INTO reviews VALUES (1, 'mail <b>me</b> at jane@example.org', 'a', 1)")
    monkeypatch.setattr(feeds.Aside, "remove", lambda self: None)
    sync(LINE, source(monkeypatch, url), TEXT)
    assert taken() == ["mail me at [EMAIL]"]
    written = [path for top in ("data", ".tidegate") for path in Path(top).rglob("*") if path.is_file()]
    assert any(path.suffix == ".arrow" for path in written)
    assert not any(b"jane@" in path.read_bytes() for path in written)


def test_a_batch_deleted_is_taken_again(url, monkeypatch):
    made = source(monkeypatch, url)
    paths = []
    for start in (0, 10, 20):
        insert(url, range(start, start + 5))
        paths += sync(LINE, made, TEXT)
    paths[1].unlink()
    assert news(LINE, made)
    (again,) = sync(LINE, made, TEXT)
    assert pq.read_table(again)["text"].to_pylist() == [f"text {n}" for n in range(10, 15)]
    assert len(taken()) == 15
    assert not news(LINE, made)


def test_a_lost_memory_costs_no_row(url, monkeypatch):
    insert(url, range(5))
    made = source(monkeypatch, url)
    sync(LINE, made, TEXT)
    Path(".tidegate/sync/made.json").unlink()
    assert not news(LINE, made)
    assert sync(LINE, made, TEXT) == []


def test_a_connection_that_breaks_in_mid_query_is_made_anew(served, monkeypatch):
    insert(served, range(60))
    other = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = "
    name = re.search(r"/(made\d+)", served)[1]
    after_portions(monkeypatch, 2, lambda: execute(served, f"{other}'{name}'"))
    sync(LINE, source(monkeypatch, served), TEXT)
    assert taken() == [f"text {n}" for n in range(60)]


def test_a_database_that_goes_away_leaves_nothing_half_taken_and_sync_goes_on(postgres, served, monkeypatch, caplog):
    insert(served, range(60))
    made = source(monkeypatch, served)
    after_portions(monkeypatch, 2, postgres.stop)
    try:
        with pytest.raises(SourceError, match=r"went away or does not answer .* run sync again"):
            sync(LINE, made, TEXT)
        assert inbox.batches(LINE) == []
        assert news(LINE, made)  # only sync can tell
    finally:
        postgres.start()
    caplog.set_level(logging.INFO)
    (path,) = sync(LINE, made, TEXT)
    assert "goes on after 20 rows" in caplog.text
    assert pq.read_table(path)["text"].to_pylist() == [f"text {n}" for n in range(60)]
    assert sorted(p.name for p in Path(".tidegate/sync").iterdir()) == ["made.json"]


def test_killed_in_mid_query_with_another_policy_later(url, monkeypatch):
    class KilledError(BaseException):
        pass

    def kill():
        raise KilledError

    insert(url, range(30))
    execute(url, "UPDATE reviews SET body = 'jane@example.org' WHERE id = 3")
    made = source(monkeypatch, url)
    with monkeypatch.context() as patch:
        after_portions(patch, 2, kill)
        with pytest.raises(KilledError):
            sync(LINE, made, TextSettings(email="off"))
    assert inbox.batches(LINE) == []
    sync(LINE, made, TEXT)
    assert len(taken()) == len(set(taken())) == 30
    assert taken()[3] == "[EMAIL]"  # what lay aside was of the other policy


def test_rows_that_went_or_came_late_are_counted(url, monkeypatch, caplog):
    insert(url, range(10))
    made = source(monkeypatch, url)
    sync(LINE, made, TEXT)
    execute(
        url, "DELETE FROM reviews WHERE id IN (2, 4)", "UPDATE reviews SET body = 'new', updated_at = 9 WHERE id = 5"
    )
    (path,) = sync(LINE, made, TEXT)
    assert "3 rows taken earlier are no longer where they were" in caplog.text
    assert inbox.provenance(path)["missing"] == 3
    assert len(taken()) == 11
    caplog.clear()
    insert(url, [100], at=0)
    sync(LINE, made, TEXT)
    assert "1 rows came late, behind the watermark" in caplog.text
    caplog.clear()
    sync(LINE, made, TEXT)
    assert caplog.text == ""  # said once


def test_comparing_tells_changed_and_gone_and_takes_what_came_late(url, monkeypatch, caplog):
    insert(url, range(30))
    sync(LINE, source(monkeypatch, url), TEXT)
    made = source(monkeypatch, url, changes="compare")
    assert sync(LINE, made, TEXT) == []
    execute(url, "DELETE FROM reviews WHERE id = 2", "UPDATE reviews SET body = 'changed' WHERE id IN (3, 4)")
    insert(url, [100], at=0)
    assert not news(LINE, made)  # stays cheap: nothing stands after the watermark
    (path,) = sync(LINE, made, TEXT)
    assert "of the rows taken earlier 2 have changed, which were taken anew, and 1 are gone" in caplog.text
    assert sorted(pq.read_table(path)["text"].to_pylist()) == ["changed", "changed", "text 100"]
    assert {"changed": 2, "gone": 1}.items() <= inbox.provenance(path).items()
    assert sync(LINE, source(monkeypatch, url), TEXT) == []


def test_without_a_watermark_all_is_read_and_known_rows_are_passed_over(url, monkeypatch):
    insert(url, range(25))
    made = source(monkeypatch, url, watermark=None)
    sync(LINE, made, TEXT)
    insert(url, [25])
    assert news(LINE, made)
    (path,) = sync(LINE, made, TEXT)
    assert pq.read_table(path)["text"].to_pylist() == ["text 25"]


@pytest.mark.parametrize(
    ("statements", "block", "message"),
    [
        (["INSERT INTO reviews VALUES (7, 'x', 'a', NULL)"], {}, r"a row has no updated_at or no id \(null\)"),
        ([], {"watermark": {"column": "updated_at"}}, r"two rows have the same updated_at.*Name a `tie_breaker:`"),
        ([], {"columns": {"text": "bodyy"}}, r"no column 'bodyy' \(did you mean 'body'\?\)"),
        ([], {"query": "SELECT * FROM review"}, r"refuses|no such table"),
        ([], {"watermark": {"column": "update_at", "tie_breaker": "id"}}, "did you mean 'updated_at'"),
    ],
)
def test_what_is_wrong_with_a_query_is_said(url, monkeypatch, statements, block, message):
    insert(url, range(6))
    execute(url, *statements)
    with pytest.raises(SourceError, match=message):
        sync(LINE, source(monkeypatch, url, **block), TEXT)
    assert inbox.batches(LINE) == []


def test_a_column_that_changes_its_type(served, monkeypatch):
    execute(served, "ALTER TABLE reviews ALTER label TYPE INTEGER USING 1")
    execute(served, "INSERT INTO reviews VALUES (1, 'one', 1, 1)")
    made = source(monkeypatch, served)
    sync(LINE, made, TEXT)
    execute(served, "ALTER TABLE reviews ALTER label TYPE TEXT", "INSERT INTO reviews VALUES (2, 'two', 'good', 2)")
    with pytest.raises(SourceError, match=r"taken as 'label' held whole number .* now holds text"):
        sync(LINE, made, TEXT)
    assert taken() == ["one"]


def test_a_column_of_two_types(workdir, monkeypatch):
    url = "sqlite:///made.db"
    execute(url, "CREATE TABLE reviews (id INTEGER, body, label, updated_at)")
    execute(url, "INSERT INTO reviews VALUES (1, 'one', 'a', 1), (2, 2, 'a', 2)")
    with pytest.raises(SourceError, match="taken as 'text' holds text and whole number"):
        sync(LINE, source(monkeypatch, url), TEXT)


def test_types_of_postgresql(served, monkeypatch):
    execute(
        served,
        "CREATE TABLE wide (id UUID PRIMARY KEY DEFAULT gen_random_uuid(), body TEXT, votes JSONB, stars NUMERIC, "
        "at TIMESTAMPTZ)",
        "INSERT INTO wide (body, votes, stars, at) SELECT '100% \\:ok ' || n, '[1, -2.5]', 4.50, "
        "TIMESTAMPTZ '2026-05-01 12\\:00\\:00+02' + n % 3 * INTERVAL '1 microsecond' FROM generate_series(1, 25) n",
    )
    made = source(
        monkeypatch, served, query="SELECT *, '12:30'::text AS noon FROM wide WHERE body LIKE '100%';",
        watermark={"column": "at", "tie_breaker": "id"},
        columns={"id": "id", "text": "body", "ratings": "votes", "label": "stars", "created_at": "at"},
    )  # fmt: skip
    (path,) = sync(LINE, made, TEXT)
    row = pq.read_table(path).to_pylist()[0]
    assert (row["ratings"], row["label"], row["created_at"].isoformat()) == (
        [1, -2.5],
        "4.50",
        "2026-05-01T10:00:00+00:00",
    )
    assert len(taken()) == 25
    assert sync(LINE, made, TEXT) == []


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.integers(0, 6), max_size=12), min_size=1, max_size=4))
def test_whatever_comes_later_is_taken_once(tmp_path_factory, monkeypatch, syncs):
    monkeypatch.chdir(tmp_path_factory.mktemp("project"))
    url, number, floor = filled("sqlite:///made.db"), 0, 0
    made = source(monkeypatch, url)
    for rises in syncs:
        for rise in rises:
            floor, number = floor + rise // 4, number + 1
            insert(url, [number], at=floor)
        assert news(LINE, made) == bool(rises)
        sync(LINE, made, TEXT)
        assert sorted(map(int, taken("id"))) == list(range(1, number + 1))


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"url_env": f"postgresql://me:{PASSWORD}@h/d"}, "is not shown, for it may be a secret"),
        ({"url": f"postgresql://me:{PASSWORD}@h/d"}, r"unknown key \(did you mean 'url_env'"),
        ({"query": "DELETE FROM reviews"}, "must be a SELECT"),
        ({"watermark": {"colum": "x"}}, "did you mean 'column'"),
        ({"changes": "compare", "columns": {"text": "body"}}, "needs the id"),
        ({"format": "csv"}, "unknown key"),
    ],
)
def test_settings_that_are_wrong(monkeypatch, block, message):
    with pytest.raises(SettingsError, match=message) as caught:
        source(monkeypatch, "sqlite://", **block)
    assert PASSWORD not in str(caught.value)


def test_a_driver_that_quotes_the_address_is_not_quoted():
    url = sa.make_url(f"postgresql://jane:{PASSWORD}@host/base")
    told = database.redacted(
        f"cannot connect to {url.render_as_string(hide_password=False)} as jane with {PASSWORD}", url
    )
    assert told == "cannot connect to *** as *** with ***"


def test_a_password_is_told_nowhere(postgres, workdir, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    good = filled(postgres.url())
    insert(good, range(12))
    socket = good.replace("tester@", f"tester:{PASSWORD}@")
    sync(LINE, source(monkeypatch, socket), TEXT)
    told = [caplog.text]
    for url in (
        f"postgresql://tester:{PASSWORD}@127.0.0.1:1/none", socket.replace("/made", "/absent"),
        f"nothing://tester:{PASSWORD}@h/d", f"tester:{PASSWORD}",
    ):  # fmt: skip
        with pytest.raises(SourceError) as caught:
            sync(LINE, source(monkeypatch, url), TEXT)
        told.append(str(caught.value))
        assert caught.value.__cause__ is None
    monkeypatch.delenv("REVIEWS_DB")
    with pytest.raises(SourceError, match="REVIEWS_DB, which is not set"):
        sync(LINE, parse_sources({"sources": [{"kind": "sql", "name": "s", "url_env": "REVIEWS_DB",
            "query": "SELECT * FROM reviews", "watermark": {"column": "updated_at", "tie_breaker": "id"},
            "columns": {"id": "id", "text": "body", "label": "label"}}]}, "made"), TEXT)  # fmt: skip
    written = [path.read_bytes() for top in ("data", ".tidegate") for path in Path(top).rglob("*") if path.is_file()]
    assert written
    assert not any(PASSWORD in text for text in told)
    assert not any(PASSWORD.encode() in content for content in written)
