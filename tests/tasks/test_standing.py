"""Which rows stand, whatever the chunks they are read in."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tasks.annotation.events import Event, Item, suspect
from tasks.annotation.journal import Journal
from tasks.core.line import Line
from tasks.ingest import IngestSettings, ingest
from tasks.sources import parse_sources
from tasks.sync import sync
from tasks.text import TextSettings

LINE, TEXT, MANY = Line("made"), TextSettings(), 2_500


@pytest.fixture
def sources(workdir):
    """A team that answered every item and half of them once more, and a correction of one row of a file."""
    Path("film.csv").write_text("n,text,label\n" + "".join(f"{n},film {n},no\n" for n in range(MANY)))
    film = {
        "kind": "file",
        "name": "film",
        "path": "film.csv",
        "columns": {"id": "n", "text": "text", "label": "label"},
    }
    sources = parse_sources({"sources": [film, {"kind": "answers", "name": "team", "line": "made"}]}, "made")
    journal = Journal.of(LINE)
    journal.add([Item(id=str(n), text=f"text {n}") for n in range(MANY)])
    journal.add(
        [suspect("film-2400", "film 2400", "no", "yes", 0.9, 0), suspect("film-gone", "x", "no", "yes", 0.9, 1)]
    )
    for label, its in (("a", range(MANY)), ("b", range(0, MANY, 2))):
        journal.append(*(Event(item=str(n), person="p", kind="answer", label=label) for n in its))
        sync(LINE, sources, TEXT)
    ids = ("suspect-film-2400", "suspect-film-gone")
    journal.append(*(Event(item=name, person="judge", kind="decide", label="yes") for name in ids))
    sync(LINE, sources, TEXT)
    return sources


@pytest.mark.parametrize("chunk", [1_000, 50_000])
def test_chunks_do_not_matter(sources, chunk):
    Path("out").mkdir()
    ingest(LINE, settings=IngestSettings(chunk_rows=chunk), text=TEXT, out=Path("out"))
    rows = {row["id"]: row for row in pq.read_table("out/rows.parquet").to_pylist()}
    assert len(rows) == pq.read_metadata("out/rows.parquet").num_rows == 2 * MANY
    assert all(rows[f"team-{n}"]["votes"] == [{"who": "p", "label": "ba"[n % 2]}] for n in range(MANY))
    assert [n for n in range(MANY) if rows[f"film-{n}"]["label"] == "yes"] == [2400]
