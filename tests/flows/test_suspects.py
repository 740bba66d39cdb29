"""`tidegate suspects`: likely wrong labels as a file and in the queue."""

from pathlib import Path

import pandas as pd
import pytest
import toy
from conftest import labeled

from flows.suspects import export
from tasks.annotation.assign import adjudications
from tasks.annotation.journal import Journal
from tasks.core.errors import DataError, SettingsError
from tasks.core.files import read_json, write_json, write_parquet
from tasks.core.line import Line
from tasks.rows import LABELED

LINE = Line("toy")
WRONG = 12


@pytest.fixture
def project(checkout, tiny_encoder):
    """A line `toy` with 300 labelled rows, the first labels turned round, one of them by an adjudicator."""
    toy.make_toy(checkout, tiny_encoder, checkout / "reviews.csv")
    frame = labeled(300)
    frame["id"] = [f"made-{n}" for n in frame["id"]]
    turned = {"positive": "negative", "negative": "positive"}
    frame.loc[: WRONG - 1, "label"] = frame.loc[: WRONG - 1, "label"].map(turned)
    frame.loc[0, "decided_by"] = "adjudicator"
    frame.loc[1, "text"] = f"=cmd() {frame.loc[1, 'text']}"
    write_parquet(LINE.file("label", "labeled.parquet"), frame[LABELED.names], LABELED)
    write_json(LINE.file("label", "labels.json"), ["negative", "positive"])
    return frame


def test_wrong_labels_are_written_and_queued_once(project):
    said = export("toy", None, 20, queue=True)
    found = pd.read_csv(".tidegate/suspects/toy.csv")
    wrong = set(project["id"][1:WRONG])
    assert len(wrong & set(found["id"][:WRONG])) > WRONG / 2
    assert (found["given"] != found["suggested"]).all()
    assert found["quality"].is_monotonic_increasing
    assert "made-r0" not in set(found["id"])
    assert not found["text"].str.startswith("=").any()
    assert f"{len(found)} of them are new in the adjudicators' queue" in said
    waiting = adjudications(Journal.of(LINE).state())
    assert [one.item.corrects for one in waiting] == found["id"].tolist()
    assert waiting[0].item.given == found["given"][0]
    assert "0 of them are new" in export("toy", Path("again.jsonl"), 20, queue=True)


def test_the_same_rows_give_the_same_file(project):
    export("toy", Path("a.jsonl"), 50)
    export("toy", Path("b.jsonl"), 50)
    assert Path("a.jsonl").read_bytes() == Path("b.jsonl").read_bytes()


def test_rows_out_of_scope_are_neither_suspects_nor_learned_from(project):
    export("toy", Path("alone.jsonl"), 300)
    odd = labeled(30, seed=5).assign(label="oos")
    frame = pd.concat([project, odd], ignore_index=True)
    write_parquet(LINE.file("label", "labeled.parquet"), frame[LABELED.names], LABELED)
    export("toy", Path("beside.jsonl"), 300)
    assert Path("beside.jsonl").read_text() == Path("alone.jsonl").read_text()


def test_what_is_missing_is_said(project):
    with pytest.raises(SettingsError, match=r"a\.xlsx; it can end with \.csv or \.jsonl"):
        export("toy", Path("a.xlsx"), 5)
    LINE.file("label", "labeled.parquet").unlink()
    with pytest.raises(DataError, match="tidegate run toy --until label"):
        export("toy", None, 5)
    assert read_json(LINE.file("label", "labels.json"))


def test_the_file_is_what_the_queue_takes(project):
    from flows.queue import add_suspects

    export("toy", Path("a.jsonl"), 10)
    assert "10 of them new" in add_suspects("toy", Path("a.jsonl"))


def test_a_csv_puts_the_texts_into_the_queue_that_the_rows_have(project):
    from flows.queue import add_suspects

    export("toy", Path("a.csv"), 20)
    written = pd.read_csv("a.csv").set_index("id")["text"]
    assert written["made-r1"].startswith("'=cmd() ")
    add_suspects("toy", Path("a.csv"))
    queued = {item.corrects: item.text for item in Journal.of(LINE).items()}
    assert queued["made-r1"] == project.set_index("id").loc["made-r1", "text"]
