"""The profile of a table: counts, drift, the page and the proposed suite."""

import re

import numpy as np
import pytest
from profiles import SCRIPT, described, rows, whole_page

from tasks import expectations, scan, verdict
from tasks.core.files import write_parquet
from tasks.core.line import Line
from tasks.profile_drift import compare, words_moved
from tasks.proposal import as_yaml, propose
from tasks.rows import RAW
from tasks.validate import DERIVED, ValidateSettings, validate


def test_counts(workdir):
    frame = rows()
    frame.loc[7, "text"] = None
    frame.loc[9, "id"] = "r8"
    found, told, _ = described(frame)
    assert told["rows"] == told["sampled"] == 600
    assert told["missing"] == {
        "id": 0, "text": 1, "source": 0, "created_at": 0, "label": 0, "ratings": 600, "votes": 600, "group": 600,
    }  # fmt: skip
    assert told["blank_texts"] == 2
    assert told["repeated_texts"] == 2  # THE SAME, and the missing text as the empty one
    assert told["repeated_ids"] == 1
    assert told["placeholders"]["email"] == 1
    assert told["languages"]["zh"] == 1
    assert sum(told["labels"].values()) == 600
    assert sum(n for _, _, n in told["months"]) == 600
    lengths = frame["text"].fillna("").str.len()
    assert told["lengths"]["characters"][0] == 0
    assert told["lengths"]["characters"][2] == int(lengths.median())
    assert told["lengths"]["characters"][-1] == lengths.max()
    assert found.words.sum() == 600


def test_chunks_and_samples_change_no_count(workdir, monkeypatch):
    whole, told, _ = described(rows())
    monkeypatch.setattr(scan, "CHUNK", 70)
    chunked, again, _ = described(rows())
    assert told == again
    assert whole.sample["id"].tolist() == chunked.sample["id"].tolist()
    _, sampled, numbers = described(rows(), sample=100)
    assert sampled["sampled"] == len(numbers.characters) == 100
    same = ("rows", "missing", "sources", "labels", "months", "repeated_texts", "placeholders")
    assert {name: sampled[name] for name in same} == {name: told[name] for name in same}
    assert sampled["lengths"] == told["lengths"]


def test_an_empty_table_has_a_profile(workdir):
    _, told, _ = described(rows(10).head(0))
    assert told["rows"] == 0
    assert told["lengths"]["characters"] == [0] * 6


@pytest.mark.parametrize(("shares", "wanted"), [([0.5], [1]), ([0, 1], [1, 3]), ([0.75], [3])])
def test_quantiles_are_values_that_occur(shares, wanted):
    assert scan.quantiles(np.array([0, 2, 0, 2]), shares) == wanted


def test_drift_tells_a_move_from_chance(workdir):
    before = described(rows(seed=1))[2]
    same = compare(before, described(rows(seed=2))[2], {})
    assert {one.name for one in same if one.outcome == "moved far"} == set()
    frame = rows(seed=3)
    frame.loc[100:, "text"] = frame.loc[100:, "text"].str.upper() + " AND MORE!!"
    frame.loc[300:, "label"] = "new"
    now = described(frame)[2]
    labels = {"label": (rows()["label"].tolist(), frame["label"].tolist())}
    far = {one.name: one for one in compare(before, now, labels) if one.outcome == "moved far"}
    assert {"characters", "share of capital letters", "has an exclamation mark", "label"} <= far.keys()
    assert far["label"].distance == pytest.approx(0.5, abs=0.05)
    assert "new 50.0%" in far["label"].now
    before_texts, now_texts = rows(seed=1)["text"].tolist(), frame["text"].tolist()
    assert {word for word, _, _ in words_moved(before_texts, now_texts)} == {"and", "more"}


def test_the_proposal_is_a_suite_that_these_rows_pass(workdir):
    frame = rows()
    frame["ratings"] = [[1.0, -2.0, 3.0]] * 600
    _, told, _ = described(frame)
    line = Line("made")
    line.folder.mkdir(parents=True)
    (line.folder / "expectations.yaml").write_text(as_yaml("made", told))
    suite = expectations.load(line.folder / "expectations.yaml", [*RAW.names, *DERIVED])
    assert len(suite) == len(propose(told)) >= 16
    assert all(one.reason for one in suite)
    write_parquet(line.file("ingest", "rows.parquet"), frame, RAW)
    validate(line, ValidateSettings(), line.folder / "validate")
    judged = verdict.read(line.folder / "validate" / "verdict.json")
    assert judged.verdict == "pass"
    assert judged.details["quarantined"] == 1  # the blank text
    assert {check.name for check in judged.checks if check.outcome == "warn"} == {
        "rows that fail: text values to match regex",
        "rows that fail: characters values to be between",
    }


def test_labels_that_are_missing_or_many_are_no_set(workdir):
    frame = rows()
    frame.loc[:59, "label"] = None
    names = {(one.entry["expectation"], one.entry.get("mostly")) for one in propose(described(frame)[1])
             if one.entry.get("column") == "label"}  # fmt: skip
    assert ("expect_column_values_to_not_be_null", 0.84) in names
    frame["label"] = [f"label {n}" for n in range(600)]
    assert not [one for one in propose(described(frame)[1]) if one.entry.get("column") == "label"]


def test_the_page_stands_alone_and_escapes_what_rows_hold(workdir):
    frame = rows(labels=("good", SCRIPT))
    frame.loc[frame.index % 3 == 0, "source"] = SCRIPT
    frame.loc[frame.index % 2 == 0, "text"] += f" {SCRIPT} and [PHONE]"
    html = whole_page(frame)
    assert "<script" not in html
    assert "<img src=x" not in html
    assert html.count("data:image/png;base64,") == 5
    assert not re.findall(r'(?:src|href)="(?!data:)', html)
    assert "and [PHONE]" in html
    assert "near copy of" in html
    assert "600 rows of" in html


def test_the_same_rows_give_the_same_page(workdir):
    assert whole_page(rows()) == whole_page(rows())
