"""Ingest: one table of all batches, ids, the policy applied again, repeated rows counted."""

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks import forgotten, inbox
from tasks.core.errors import DataError
from tasks.core.files import read_json
from tasks.core.line import Line
from tasks.ingest import IngestSettings, ingest
from tasks.rows import RAW
from tasks.sources import parse_sources
from tasks.sync import sync
from tasks.text import TextSettings

LINE = Line("made")


def put(name, content, text=None, **columns):
    Path(f"{name}.csv").write_text(content)
    block = {"kind": "file", "name": name, "path": f"{name}.csv", "columns": {"text": "text"} | columns}
    return sync(LINE, parse_sources({"sources": [block]}, "made"), text or TextSettings())


def run(text=None, **settings):
    out = Path("out")
    out.mkdir(exist_ok=True)
    ingest(LINE, settings=IngestSettings(**settings), text=text or TextSettings(), out=out)
    table = pq.read_table(out / "rows.parquet")
    assert table.schema.remove_metadata() == RAW
    return table.to_pylist(), read_json(out / "provenance.json")


def test_ids_come_from_the_source_or_the_content(workdir):
    put("b", "n,text\n7,one\n,two\n", id="n")
    put("a", "text\nthree\n")
    rows, told = run()
    key = pq.read_table(inbox.batches(LINE)[0], columns=["row_key"])
    assert [row["text"] for row in rows] == ["three", "one", "two"]
    assert rows[1]["id"] == "b-7"
    assert rows[0]["id"].startswith("a-")
    assert len(rows[0]["id"]) == 34
    assert told["sources"] == {"a": 1, "b": 2}
    assert [batch["source"] for batch in told["batches"]] == ["a", "b"]
    assert key.num_rows


def test_repeated_texts_and_ids_are_counted(workdir):
    put("a", "n,text\n1,one\n1,two\n2,one\n3,one\n", id="n")
    told = run()[1]
    assert (told["rows"], told["duplicate_texts"], told["duplicate_ids"]) == (4, 2, 1)


def test_a_stricter_policy_reaches_old_batches_and_moves_no_row(workdir):
    loose = TextSettings(email="off")
    put("a", "text\nmail a.b@example.org\n", text=loose)
    before, after = run(loose)[0][0], run()[0][0]
    assert before["text"] == "mail a.b@example.org"
    assert after["text"] == "mail [EMAIL]"
    assert before["split_key"] == after["split_key"]


def test_rows_with_personal_data_are_dropped_and_counted_in_sync_and_ingest(workdir):
    put("a", "text\nmail a.b@example.org\n<b>fine</b>\n", text=TextSettings(email="drop"))
    put("b", "text\nfrom 10.0.0.1\nmail c.d@example.org\nmail e.f@example.org\n")
    rows, told = run(TextSettings(email="drop", ip="drop"))
    assert [row["text"] for row in rows] == ["fine"]
    assert told["rows"] == 1
    assert told["dropped"] == {"email": 3, "ip": 1}
    assert told["changed"] == {"email": 3, "html": 1, "ip": 1}
    assert [batch["dropped"] for batch in told["batches"]] == [{"email": 1}, {}]
    assert [batch["rows"] for batch in told["batches"]] == [1, 3]
    rows, told = run()
    assert [row["text"] for row in rows] == ["fine", "from [IP]", "mail [EMAIL]", "mail [EMAIL]"]
    assert told["dropped"] == {"email": 1}


def test_batches_of_before_the_counts_are_read(workdir):
    (path,) = put("a", "text\none\n")
    table = pq.read_table(path)
    told = inbox.provenance(path)
    del told["changed"], told["dropped"]
    pq.write_table(table.replace_schema_metadata({inbox.PROVENANCE: json.dumps(told)}), path)
    assert run()[1]["changed"] == {}


def test_the_same_inbox_gives_the_same_bytes(workdir):
    put("a", "text\n" + "".join(f"text {n}\n" for n in range(3000)))
    run(chunk_rows=1000)
    first = Path("out/rows.parquet").read_bytes()
    run(chunk_rows=1000)
    assert Path("out/rows.parquet").read_bytes() == first


@pytest.mark.parametrize("make", [False, True])
def test_no_batch(workdir, make):
    if make:
        LINE.inbox.mkdir(parents=True)
    with pytest.raises(DataError, match=r"data/made/inbox is missing or holds no batch. Run `tidegate sync made`"):
        run()


def test_another_salt_is_refused(workdir):
    put("a", "text\none\n")
    with pytest.raises(DataError, match=r"another `text\.split_salt`"):
        run(TextSettings(split_salt="other"))


def test_a_batch_cut_off_is_named(workdir):
    (path,) = put("a", "text\none\n")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"is damaged .*dvc"):
        run()


def test_a_batch_from_before_there_were_votes_is_read(workdir):
    put("a", "text\none\n")
    (path,) = inbox.batches(LINE)
    table = pq.read_table(path)
    told = {inbox.PROVENANCE: json.dumps(inbox.provenance(path))}
    pq.write_table(table.drop_columns(["votes"]).replace_schema_metadata(told), path)
    (row,) = run()[0]
    assert (row["text"], row["votes"]) == ("one", None)
    put("a", "text\none\ntwo\n")
    assert {row["text"] for row in run()[0]} == {"one", "two"}
    (taken,) = forgotten.take_out(LINE, forgotten.Subject(texts=frozenset(["one"])), TextSettings().split_salt).batches
    assert taken == path


@pytest.mark.parametrize("how", ["keep", "hash"])
def test_rows_without_a_name_are_nobodys_and_a_gap_renames_no_user(workdir, how):
    policy = TextSettings(group=how)
    put("a", 'text,who\none,1\ntwo,""\nthree,   \nfour,nan\nfive,\nsix,2\n', policy, group="who")
    frame = pd.DataFrame({"text": ["seven", "eight", "nine"], "who": [1, None, 2]})
    frame.to_csv("gaps.csv", index=False)
    put("b", Path("gaps.csv").read_text(), policy, group="who")
    frame.assign(who=[20_000_000_001, None, 2]).to_parquet("c.parquet")
    block = {"kind": "file", "name": "c", "path": "c.parquet", "columns": {"text": "text", "group": "who"}}
    sync(LINE, parse_sources({"sources": [block]}, "made"), policy)
    found = [row["group"] for row in run(policy)[0]]
    one, two, large = found[0], found[5], found[9]
    assert found == [one, None, None, None, None, two, one, None, two, large, None, two]
    assert len({one, two, large}) == 3
    if how == "keep":
        assert (one, two, large) == ("1", "2", "20000000001")


def test_blanks_that_an_older_batch_took_for_a_name_are_nobodys(workdir):
    (path,) = put("a", "text,who\none,ann\ntwo,bo\n", group="who")
    table, told = pq.read_table(path), {inbox.PROVENANCE: json.dumps(inbox.provenance(path))}
    blank = table.set_column(table.column_names.index("group"), "group", pa.array(["ann", ""], pa.string()))
    pq.write_table(blank.replace_schema_metadata(told), path)
    assert [row["group"] for row in run()[0]] == ["ann", None]
