"""`tidegate queue`: which texts a team is asked of."""

import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from commands import tidegate
from conftest import sentences
from toy import toy_params

from flows import promote, queue
from tasks.annotation.events import Event, item_id
from tasks.annotation.journal import Journal
from tasks.core.errors import SourceError, TidegateError
from tasks.core.line import Line
from tasks.forgotten import Subject, take_out
from tasks.rows import RAW, completed
from tasks.sync import alone
from tasks.text import TextSettings, split_key

LINE = Line("toy")


@pytest.fixture
def toy(workdir, tiny_encoder):
    """A line without a champion."""
    params = toy_params("reviews.csv", tiny_encoder)
    params["lines"]["toy"]["annotate"] = {"candidates": 200, "rows": 50}
    Path("params.yaml").write_text(yaml.safe_dump(params))
    return params["lines"]["toy"]


def put(path, texts, column="text"):
    pd.DataFrame({"n": range(len(texts)), column: texts}).to_csv(path, index=False)
    return [Path(path)]


def queued(line=LINE):
    return Journal.of(line).items()


def test_typical_texts_and_some_at_random_where_there_is_no_champion(toy):
    said = queue.add_files("toy", put("new.csv", sentences(400)["text"].tolist()))
    items = queued()
    assert "50 texts are in the queue of toy" in said
    assert "chosen from 200 new texts of 400 rows, by its base model" in said
    assert {why: sum(item.why == why for item in items) for why in ("typical", "random")} == {
        "typical": 40,
        "random": 10,
    }
    assert sum(item.overlap == 2 for item in items) == 10
    assert [item.rank for item in items] == [*range(50)]
    assert {item.suggested for item in items} == {None}
    assert {item.language for item in items} <= {"en", None}


def test_the_same_files_give_the_same_queue(toy):
    texts = sentences(400)["text"].tolist()
    queue.add_files("toy", put("a.csv", texts))
    first = queued()
    Path(".tidegate/annotation/toy/items.jsonl").unlink()
    queue.add_files("toy", put("a.csv", texts[::-1]))
    assert queued() == first


def test_what_has_a_label_or_is_queued_is_left_out(toy):
    frame = sentences(20)
    keys = [split_key(text, TextSettings().split_salt) for text in frame["text"]]
    labels = [*frame["label"][:10], *[None] * 10]
    table = completed(pa.table({"id": frame["id"], "label": labels, "split_key": keys}), RAW)
    path = LINE.file("ingest", "rows.parquet")
    path.parent.mkdir(parents=True)
    pq.write_table(table, path)
    queue.add_files("toy", put("a.csv", frame["text"].tolist()), rows=5)
    queue.add_files("toy", put("a.csv", [*frame["text"], "", frame["text"][0].upper()]))
    assert {item.text for item in queued()} == set(frame["text"][10:])
    assert len(queued()) == 10
    with pytest.raises(TidegateError, match="Of 20 rows none is new to toy"):
        queue.add_files("toy", put("a.csv", frame["text"].tolist()))


def test_personal_data_is_masked_before_anything_is_written(toy):
    queue.add_files("toy", put("a.csv", ["write to ada@example.org now", "<b>fine</b> text here"]))
    assert {item.text for item in queued()} == {"write to [EMAIL] now", "fine text here"}
    assert b"ada@" not in b"".join(path.read_bytes() for path in Path(".tidegate").rglob("*") if path.is_file())


def test_personal_data_that_is_set_to_drop_leaves_the_text_out(toy):
    toy["text"] = {"email": "drop"}
    Path("params.yaml").write_text(yaml.safe_dump({"lines": {"toy": toy}}))
    queue.add_files("toy", put("a.csv", ["write to ada@example.org now", "fine text here"]))
    assert [item.text for item in queued()] == ["fine text here"]


def test_what_was_forgotten_does_not_come_back(toy):
    texts = ["of Ada", "of nobody"]
    queue.add_files("toy", put("a.csv", texts))
    with alone(LINE):
        take_out(LINE, Subject(frozenset(["of Ada"])), TextSettings().split_salt)
    assert Journal.of(LINE).forget({"of Ada"}) == 1
    queue.add_files("toy", put("a.csv", [*texts, "a new one"]))
    assert {item.text for item in queued()} == {"of nobody", "a new one"}


def test_one_of_three_ways_in(toy):
    Path("dvc.yaml").write_text("")
    for arguments in ((), ("a.csv", "--wanted")):
        done = tidegate("queue", "toy", *arguments)
        assert (done.returncode, "Name files, or --wanted" in done.stdout) == (2, True)
    put("a.csv", ["one text"])
    done = tidegate("queue", "toy", "a.csv")
    assert "1 texts are in the queue of toy" in done.stdout, done.stdout
    done = tidegate("label-studio", "export", "toy", "-o", "out.json")
    assert "1 tasks are in" in done.stdout, done.stdout
    assert Path("out.xml").exists()


@pytest.mark.parametrize("broken", ['"the film was "bad, and so on', '"never closed', 'x,"a","b" c'])
def test_a_broken_quote_in_a_large_file_is_named_and_nothing_is_written(toy, broken):
    """Memory is bounded: what Python holds is a row, or the rest of the file up to the longest row allowed."""
    with Path("large.csv").open("w") as stream:
        stream.write("n,text\n")
        stream.writelines(f'{n},"the film was good"\n' for n in range(50_000))
        stream.write(f"50000,{broken}\n")
        stream.writelines(f"{n},the film was good {'x' * 400}\n" for n in range(50_001, 100_000))
    tracemalloc.start()
    with pytest.raises(SourceError, match=r"large\.csv: .* line 50002 has broken quotes") as error:
        queue.add_files("toy", [Path("large.csv")])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "film" not in str(error.value)
    assert peak < 100e6
    assert not queued()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.csv", None, "There is no file"),
        ("a.csv", "n,body\n1,x\n", r"has no column 'text'.* Name the column of texts by --text\.$"),
        ("a.csv", "n,text\n", r"a\.csv holds no row\. Leave it out\.$"),
        ("a.csv", b"n,text\n1,\xe9\n", r"line 2 is not utf-8 .* Save it as UTF-8\.$"),
        ("a.csv", "n,text\n1,x,y\n", r"row 2 has 3 columns where 2 are expected\. Mend the file\.$"),
        ("a.csv", 'n,text\n1,"x\n', r"double a quote that belongs to the text\.$"),
        ("a.csv", "", "is empty"),
        ("a.jsonl", '{"text": "a"}\n{"text": \n', "line 2 is no JSON"),
        ("a.jsonl", b'{"text": "\xe9"}\n', r"line 1 is not utf-8\. Save it as UTF-8\.$"),
        ("a.parquet", "no parquet", "cannot be read as parquet"),
        ("a.yaml", "- {body: x}\n", r"no row has a key 'text' to be `text`\. Name the column of texts by --text\.$"),
        ("a.odd", "n", r"does not tell its format by its name\. Let it end with \.csv"),
    ],
)
def test_a_file_that_cannot_be_read(toy, name, content, said):
    if content is not None:
        Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SourceError, match=said):
        queue.add_files("toy", [Path(name)])
    assert not queued()


@pytest.fixture
def champion(unrecorded):
    promote.promote("sentiment", unrecorded["bad"], "Ada", "first")
    return Line("sentiment")


def test_by_the_champion_those_first_of_which_it_is_unsure(champion):
    texts = sentences(300, seed=5)["text"].tolist()
    said = queue.add_files("sentiment", put("a.csv", texts), rows=60)
    items = queued(champion)
    assert "by its champion" in said
    assert {item.why for item in items} == {"uncertain", "random"}
    assert all(item.suggested in ("negative", "positive") and 0.5 <= item.probability <= 1 for item in items)
    sure = {why: np.mean([item.probability for item in items if item.why == why]) for why in ("uncertain", "random")}
    assert sure["uncertain"] < sure["random"]
    journal = Journal.of(champion)
    journal.append(Event(item=items[0].id, person="p", kind="answer", label="positive"))
    queue.add_files("sentiment", put("a.csv", texts), rows=60)
    assert len(queued(champion)) == 120


def test_suspects_wait_for_an_adjudicator(toy):
    row = {
        "id": "made-r1",
        "text": "call ada@example.org",
        "given": "negative",
        "suggested": "positive",
        "probability": 0.9,
    }
    pd.DataFrame([row]).to_json("s.jsonl", orient="records", lines=True)
    pd.DataFrame([row, {**row, "id": "made-r2", "probability": 0.8}]).to_csv("s.csv", index=False)
    assert "1 suspects of toy wait for an adjudicator, 1 of them new" in queue.add_suspects("toy", Path("s.jsonl"))
    assert "2 suspects of toy wait for an adjudicator, 1 of them new" in queue.add_suspects("toy", Path("s.csv"))
    first = queued()[0]
    assert (first.id, first.corrects, first.text, first.overlap) == ("suspect-made-r1", "made-r1", "call [EMAIL]", 0)
    Path("s.csv").write_text("id,text\n")
    with pytest.raises(SourceError, match="has no column given, suggested, probability"):
        queue.add_suspects("toy", Path("s.csv"))


def test_texts_of_the_log(toy, monkeypatch):
    rows = {
        "text": ["one", "two"],
        "label": ["negative", "positive"],
        "confidence": [0.5, 0.9],
        "why": ["unsure", "at random"],
    }
    monkeypatch.setattr("flows.wanted.chosen", lambda line, rows_: pd.DataFrame(rows))
    assert "2 of them were not queued before" in queue.add_wanted("toy")
    assert [(item.id, item.why, item.suggested) for item in queued()] == [
        (item_id("one"), "uncertain", "negative"), (item_id("two"), "random", "positive"),
    ]  # fmt: skip
    assert "0 of them" in queue.add_wanted("toy")
