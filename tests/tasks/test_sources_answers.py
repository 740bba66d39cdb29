"""The source kind `answers`, and what ingest makes of labels that change."""

import itertools
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tasks import inbox
from tasks.annotation.events import Event, Item, suspect
from tasks.annotation.journal import Journal
from tasks.core.errors import SettingsError
from tasks.core.files import read_json
from tasks.core.line import Line
from tasks.ingest import IngestSettings, ingest
from tasks.sources import parse_sources
from tasks.sync import news, sync
from tasks.text import TextSettings

LINE, TEXT = Line("made"), TextSettings()
FILM = {"kind": "file", "name": "film", "path": "film.csv", "columns": {"id": "n", "text": "text", "label": "label"}}


def sources(*others):
    return parse_sources({"sources": [*others, {"kind": "answers", "name": "team", "line": "made"}]}, "made")


@pytest.fixture
def journal(workdir):
    found = Journal.of(LINE)
    found.add([Item(id="a", text="A", overlap=1), Item(id="b", text="B", overlap=2), Item(id="c", text="C")])
    return found


def said(journal, item, label=None, person="p", kind="answer", **more):
    event = Event(item=item, person=person, kind=kind, label=label, **more)
    journal.append(event)
    return event


def rows(*others):
    """What ingest makes of what sync takes."""
    sync(LINE, sources(*others), TEXT)
    out = Path("out")
    out.mkdir(exist_ok=True)
    ingest(LINE, settings=IngestSettings(), text=TEXT, out=out)
    return {row["id"]: row for row in pq.read_table(out / "rows.parquet").to_pylist()}


def test_votes_and_decisions_become_rows(journal):
    said(journal, "a", "yes", time=datetime(2026, 1, 2, tzinfo=UTC))
    said(journal, "b", "no", "q")
    said(journal, "b", "yes")
    said(journal, "c", "yes")
    said(journal, "c", "no", "judge", "decide")
    found = rows()
    assert found["team-a"]["votes"] == [{"who": "p", "label": "yes"}]
    assert found["team-a"]["created_at"] == datetime(2026, 1, 2, tzinfo=UTC)
    assert found["team-b"]["votes"] == [{"who": "p", "label": "yes"}, {"who": "q", "label": "no"}]
    assert (found["team-b"]["label"], found["team-c"]["label"]) == (None, "no")
    assert found["team-c"]["votes"] == [{"who": "p", "label": "yes"}]
    assert len(found) == 3


def test_what_is_flagged_waits_for_a_decision(journal):
    said(journal, "b", "yes")
    said(journal, "b", person="q", kind="flag")
    said(journal, "a", "yes")
    assert set(rows()) == {"team-a"}
    said(journal, "b", "no", "judge", "decide")
    assert rows()["team-b"]["label"] == "no"


def test_nothing_is_taken_twice(journal):
    assert not news(LINE, sources())
    assert sync(LINE, sources(), TEXT) == []
    said(journal, "a", "yes")
    assert news(LINE, sources())
    assert len(sync(LINE, sources(), TEXT)) == 1
    assert not news(LINE, sources())
    said(journal, "a", kind="comment", comment="hm")
    assert sync(LINE, sources(), TEXT) == []
    assert not news(LINE, sources())


@pytest.mark.parametrize("labels", ["ab", "aba", "abab", "abba"])
def test_the_last_of_corrected_labels_stands(journal, labels):
    said(journal, "b", "x", "q")
    for label in labels:
        said(journal, "a", label, "judge", "decide")
        found = rows()
        assert (found["team-a"]["label"], len(found)) == (label, 2)
    different = len(list(itertools.groupby(labels)))
    told = read_json(Path("out/provenance.json"))
    assert (told.get("superseded"), told["duplicate_ids"]) == (different - 1, 0)
    assert len(inbox.batches(LINE)) == different


def test_what_was_taken_back_is_no_row_until_it_is_said_again(journal):
    said(journal, "b", "x", "q")
    event = said(journal, "a", "yes")
    assert set(rows()) == {"team-a", "team-b"}
    said(journal, "a", kind="undo", undoes=event.id)
    assert set(rows()) == {"team-b"}
    assert not sync(LINE, sources(), TEXT)
    said(journal, "a", "yes")
    assert set(rows()) == {"team-a", "team-b"}


def test_a_decision_about_a_suspect_takes_the_place_of_its_label(journal):
    Path("film.csv").write_text("n,text,label\n1,one,no\n2,two,no\n")
    journal.add([suspect("film-1", "one", "no", "yes", 0.9, 0), suspect("film-2", "two", "no", "yes", 0.8, 1)])
    said(journal, "suspect-film-1", "yes", "judge", "decide")
    event = said(journal, "suspect-film-2", "yes", "judge", "decide")
    found = rows(FILM)
    assert {name: row["label"] for name, row in found.items()} == {"film-1": "yes", "film-2": "yes"}
    assert (found["film-1"]["source"], found["film-1"]["votes"]) == ("film", [])
    assert read_json(Path("out/provenance.json"))["corrected"] == 2
    said(journal, "suspect-film-2", person="judge", kind="undo", undoes=event.id)
    assert {name: row["label"] for name, row in rows(FILM).items()} == {"film-1": "yes", "film-2": "no"}


def test_what_was_discarded_is_no_row_until_that_is_taken_back(journal):
    said(journal, "b", "x", "q")
    said(journal, "a", "yes")
    assert set(rows()) == {"team-a", "team-b"}
    event = said(journal, "a", person="judge", kind="discard")
    assert set(rows()) == {"team-b"}
    said(journal, "a", kind="undo", person="judge", undoes=event.id)
    assert set(rows()) == {"team-a", "team-b"}


def test_a_suspect_that_was_discarded_takes_its_row_out_until_that_is_taken_back(journal):
    Path("film.csv").write_text("n,text,label\n1,one,no\n2,two,no\n")
    journal.add([suspect("film-1", "one", "no", "yes", 0.9, 0)])
    event = said(journal, "suspect-film-1", person="judge", kind="discard")
    assert set(rows(FILM)) == {"film-2"}
    assert read_json(Path("out/provenance.json"))["discarded"] == 1
    said(journal, "suspect-film-1", "yes", "judge", "decide")
    assert rows(FILM)["film-1"]["label"] == "yes"
    said(journal, "suspect-film-1", person="judge", kind="discard")
    assert set(rows(FILM)) == {"film-2"}
    for done in journal.events()[-2:]:
        said(journal, "suspect-film-1", person="judge", kind="undo", undoes=done.id)
    assert set(rows(FILM)) == {"film-2"}
    said(journal, "suspect-film-1", person="judge", kind="undo", undoes=event.id)
    assert rows(FILM)["film-1"]["label"] == "no"


def test_its_columns_are_its_own():
    with pytest.raises(SettingsError, match="leave `columns:` out"):
        parse_sources({"sources": [{"kind": "answers", "name": "t", "line": "m", "columns": {"text": "x"}}]}, "m")
