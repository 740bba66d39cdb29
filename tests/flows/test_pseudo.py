"""`tidegate pseudo`: rows that the champion is sure of, in a file that a source takes."""

import json
from pathlib import Path

import gto.api
import made
import pyarrow.parquet as pq
import pytest
from conftest import ROOT
from pydantic import TypeAdapter

from flows.pseudo import label_file
from tasks.core.errors import DataError, SettingsError, TidegateError
from tasks.core.line import Line
from tasks.ingest import IngestSettings, ingest
from tasks.sources import Source
from tasks.sync import sync
from tasks.text import TextSettings
from tasks.validate import ValidateSettings, validate

OUT = Path(".tidegate/pseudo/sentiment.jsonl")
COLUMNS = {"id": "id", "text": "text", "label": "label", "created_at": "created_at"}


def written():
    return [json.loads(row) for row in OUT.read_text().splitlines()]


@pytest.fixture
def texts(assignments):
    """Two hundred texts, one of them twice, and a champion."""
    gto.api.assign(".", "sentiment", stage="production", version="v0.0.2")
    given = [*made.texts(200, seed=5), made.texts(1, seed=5)[0], "", "mail ann@example.org, a great lovely warm film"]
    Path("new.jsonl").write_text("".join(json.dumps({"text": text, "no": n}) + "\n" for n, text in enumerate(given)))
    return Path("new.jsonl")


def test_every_label_gets_as_many_rows_and_each_is_sure(texts):
    said = label_file("sentiment", texts, None, confidence=0.6)
    rows = written()
    counts = [sum(row["label"] == label for row in rows) for label in made.LABELS]
    assert counts[0] == counts[1] > 10
    assert min(row["confidence"] for row in rows) >= 0.6
    assert [row["id"] for row in rows] == sorted({row["id"] for row in rows})
    assert "labelled by v0.0.2" in said
    assert "of 201 texts" in said, "each text once, without the empty one"
    assert "train_only_sources: [pseudo]" in said
    assert "On the release's own test rows it is right in" in said


def test_rows_are_shared_by_the_labels_and_written_masked(texts):
    label_file("sentiment", texts, None, rows=21, confidence=0.5)
    assert len(written()) == 20
    label_file("sentiment", texts, None, rows=1000, confidence=0.5)
    assert "ann@example.org" not in OUT.read_text()
    assert any("a great lovely warm film" in row["text"] for row in written())


def test_a_second_round_takes_the_place_of_the_first(texts):
    first = label_file("sentiment", texts, None, rows=1000, confidence=0.5), written()
    source = TypeAdapter(Source).validate_python(
        {"name": "pseudo", "kind": "file", "path": str(OUT), "columns": COLUMNS}
    )
    line = Line("taken")
    assert len(sync(line, [source], TextSettings())) == 1
    rows = [row | {"created_at": "2026-01-01T00:00:00+00:00"} for row in first[1]]
    rows[0]["label"] = "positive" if rows[0]["label"] == "negative" else "negative"
    OUT.write_text("".join(json.dumps(row) + "\n" for row in rows))
    label_file("sentiment", texts, None, rows=1000, confidence=0.5)
    again = written()
    assert [row["id"] for row in again] == [row["id"] for row in rows]
    changed = [row["id"] for row, before in zip(again, rows, strict=True) if row["created_at"] != before["created_at"]]
    assert changed == [rows[0]["id"]], "only where the label is another the row is new"


def test_answers_of_two_rounds_that_differ_are_put_aside_together(texts):
    line = Line("taken")
    source = TypeAdapter(Source).validate_python(
        {"name": "pseudo", "kind": "file", "path": str(OUT), "columns": COLUMNS}
    )
    label_file("sentiment", texts, None, rows=100, confidence=0.5)
    sync(line, [source], TextSettings())
    rows = written()
    rows[0] |= {"label": "positive" if rows[0]["label"] == "negative" else "negative", "created_at": "2030-01-01"}
    OUT.write_text("".join(json.dumps(row) + "\n" for row in rows))
    sync(line, [source], TextSettings())
    for stage in ("ingest", "validate"):
        (line.folder / stage).mkdir()
    suite = line.folder / "expectations.yaml"
    suite.write_text((ROOT / "data/sentiment/expectations.yaml").read_text())
    ingest(line, IngestSettings(), TextSettings(), line.folder / "ingest")
    validate(line, ValidateSettings(), line.folder / "validate")
    aside = pq.read_table(line.file("validate", "quarantine.parquet")).to_pylist()
    assert [(row["id"], row["reason"]) for row in aside] == [(f"pseudo-{rows[0]['id']}", "the id is not unique")] * 2
    assert {row["label"] for row in aside} == {"positive", "negative"}
    suite.write_text("[]")
    validate(line, ValidateSettings(), line.folder / "validate")
    passed = pq.read_table(line.file("validate", "rows.parquet")).to_pylist()
    assert [row["id"] for row in passed].count(aside[0]["id"]) == 2, "stage split then takes the newer one"


def test_what_cannot_be_done_is_said(texts):
    with pytest.raises(SettingsError, match=r"must end with \.jsonl"):
        label_file("sentiment", texts, Path("rows.csv"))
    before = texts.read_text()
    with pytest.raises(SettingsError, match=r"new\.jsonl holds other rows .* --output"):
        label_file("sentiment", texts, texts)
    assert texts.read_text() == before
    with pytest.raises(DataError, match=r"v0\.0\.2 is not 1 sure of any of the 201 texts"):
        label_file("sentiment", texts, None, confidence=1.0)
    with pytest.raises(DataError, match="has no column 'body'"):
        label_file("sentiment", texts, None, text="body")
    assert not OUT.exists()


def test_without_a_champion_nothing_can_label(assignments):
    with pytest.raises(TidegateError, match="sentiment has no champion"):
        label_file("sentiment", Path("new.jsonl"), None)
