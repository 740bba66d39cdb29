"""Headlines that are erased from the database of opinions, and nothing else."""

from pathlib import Path

import pytest

from tasks.forgotten import Subject
from tasks.opinion.forget import erase
from tasks.opinion.rules import Finding
from tasks.opinion.store import Store, opened

SECRET = "Ada Quisling sold all she had of Nokia"


def row(n, text=None):
    return {
        "id": f"wire-{n}", "time": n, "feed": "wire", "text": text or f"text {n}", "split_key": f"k{n}",
        "label": "negative", "score": -0.5, "topic": "", "release": "r1",
    }  # fmt: skip


@pytest.fixture
def engine(workdir):
    """Two products with the same three headlines; a cause of one of them names two."""
    rows = [row(1), row(2, SECRET), row(3)]
    with opened() as engine:
        with engine.begin() as connection:
            for product in ("finance", "other"):
                store = Store(connection, product)
                store.add(rows, {one["id"]: ["Nokia"] for one in rows}, 48)
                store.keep(Finding("Nokia", "index_drop", 5, "warning", "fell", ("wire-2", "wire-3")), "a1", None)
        yield engine


def left(engine, product):
    with engine.connect() as connection:
        store = Store(connection, product)
        return store.said("Nokia", 0, "negative").ids.tolist(), store.causes()[0].headlines


@pytest.mark.parametrize(
    "subject",
    [Subject(texts=frozenset([SECRET])), Subject(keys=frozenset(["k2"])), Subject(ids=frozenset(["wire-2"])),
     Subject(ids=frozenset(["2"]))],
    ids=["text", "key", "id", "id of the feed"],
)  # fmt: skip
def test_one_headline_of_one_product(engine, subject):
    assert erase(engine, "finance", subject, ["wire"]) == (frozenset(["wire-2"]), frozenset([SECRET]))
    assert left(engine, "finance") == (["wire-1", "wire-3"], ("wire-3",))
    assert left(engine, "other") == (["wire-1", "wire-2", "wire-3"], ("wire-2", "wire-3"))
    assert erase(engine, "finance", subject, ["wire"]) == (frozenset(), frozenset())


def test_its_bytes_are_overwritten(engine):
    for product in ("finance", "other"):
        erase(engine, product, Subject(texts=frozenset([SECRET])))
    assert SECRET.encode() not in Path(".tidegate/opinion/opinion.db").read_bytes()
