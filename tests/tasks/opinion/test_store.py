"""The database of opinions: each headline, mention and cause once, whatever comes again."""

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core.errors import TidegateError
from tasks.opinion.rules import Finding
from tasks.opinion.said import DAY
from tasks.opinion.store import URL, Store, opened
from tasks.opinion.tables import headlines, mentions

HOUR = DAY // 24


def row(n, time=0, key=None, label="negative", topic=""):
    return {
        "id": f"wire-{n}", "time": time, "feed": "wire", "text": f"text {n}", "split_key": key or f"k{n}",
        "label": label, "score": -0.5, "topic": topic, "release": "r1",
    }  # fmt: skip


@pytest.fixture
def store(workdir):
    with opened() as engine, engine.begin() as connection:
        yield Store(connection, "finance")


def test_a_headline_is_kept_once(store):
    rows = [row(1), row(2, time=5), row(2, time=5)]
    assert store.add(rows, {"wire-1": ["Nokia"], "wire-2": ["Nokia", "Apple"]}, 48) == 2
    assert store.add([row(2, time=5), row(3)], {"wire-2": ["Nokia"], "wire-3": []}, 48) == 1
    assert store.said("Nokia", 0, "negative").ids.tolist() == ["wire-1", "wire-2"]
    assert store.said("Apple", 0, "negative").ids.tolist() == ["wire-2"]
    store.done("b1")
    store.done("b2")
    assert store.new_batches(["b0", "b1", "b2"]) == ["b0"]
    assert len(store.said("nobody", 0, "negative").ids) == 0


def test_a_text_that_is_sent_on_is_one_headline(store):
    everybody = {f"wire-{n}": ["Nokia"] for n in range(5)}
    store.add([row(0, 0, "k"), row(1, 47 * HOUR, "k"), row(2, 100 * HOUR, "k")], everybody, 48)
    store.add([row(3, 101 * HOUR, "k"), row(4, 3, "other")], everybody, 48)
    assert store.said("Nokia", 0, "negative").ids.tolist() == ["wire-0", "wire-4", "wire-2"]
    assert len(store.of_day("Nokia", 0, 200 * HOUR, None, 10)) == 5


def test_topics_times_and_another_product(store):
    store.add([row(1, 1, topic="acq"), row(2, 9, topic="earn")], {"wire-1": ["Nokia"], "wire-2": ["Nokia"]}, 48)
    assert store.topics("Nokia") == ["acq", "earn"]
    assert store.said("Nokia", 0, "negative", "earn").ids.tolist() == ["wire-2"]
    assert store.said("Nokia", 5, "negative").ids.tolist() == ["wire-2"]
    other = Store(store.connection, "other")
    assert other.new_batches(["b1"]) == ["b1"]
    assert other.texts(["wire-1"]) == {}


def test_causes_are_opened_renewed_and_ended(store):
    store.keep(Finding("Nokia", "index_drop", 5, "warning", "fell", ("a",)), "alert1", None)
    (cause,) = store.causes(open_only=True)
    assert (cause.time, cause.last, cause.headlines, cause.over) == (5, 5, ("a",), None)
    store.keep(Finding("Nokia", "index_drop", 9, "severe", "fell more", ("b", "c")), "alert1", cause)
    (cause,) = store.causes()
    assert (cause.time, cause.last, cause.severity, cause.headlines) == (5, 9, "severe", ("b", "c"))
    store.end(cause, 20)
    assert store.causes(open_only=True) == []
    assert store.looked() is None
    store.look(7)
    store.look(8)
    assert store.looked() == 8


def test_the_index_takes_the_place_of_the_one_before(store):
    entry = {"day": 5, "headlines": 2, "value": 0.1, "low": -0.2, "high": 0.4}
    store.set_index("Nokia", "", [entry, {**entry, "day": 6}])
    store.set_index("Nokia", "acq", [entry])
    store.set_index("Nokia", "", [entry])
    assert [one["day"] for one in store.index("Nokia", "", 0)] == [5]
    assert store.index("Nokia", "", 6) == []


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(0, 8), max_size=6), max_size=4))
def test_any_order_of_batches_keeps_each_once(batches):
    engine = sa.create_engine("sqlite://")
    headlines.metadata.create_all(engine)
    with engine.begin() as connection:
        store = Store(connection, "p")
        new = [store.add([row(n, n) for n in ns], {f"wire-{n}": ["E"] for n in ns}, 48)
               for ns in batches]  # fmt: skip
        kept = set().union(*map(set, batches)) if batches else set()
        assert sum(new) == len(kept) == connection.scalar(sa.select(sa.func.count()).select_from(mentions))
        assert len(store.said("E", 0, "negative").ids) == len(kept)


def test_a_database_that_cannot_be_used_is_told_without_its_password(workdir, monkeypatch):
    (workdir / "taken").write_text("no database")
    monkeypatch.setenv(URL, "sqlite:///taken")
    with pytest.raises(TidegateError, match="opinions in sqlite:///taken cannot be kept"), opened():
        pass
    monkeypatch.setenv(URL, "no address")
    with pytest.raises(TidegateError, match=URL), opened():
        pass
