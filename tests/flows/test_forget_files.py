"""Rows and pages that go when somebody is to be forgotten, and what people filled in beside them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flows.forget_files import from_files
from flows.suspects import FOLDER as SUSPECTS
from flows.traces import holds
from flows.wanted import FOLDER as WANTED
from flows.wanted import write_rows
from tasks import search
from tasks.forgotten import Subject

SECRET = '=Anna, "of number 7"\nhates it'
MEANT = Subject(texts=frozenset([SECRET]))


def table(path, **more):
    texts = ["fine", SECRET, "of nobody"]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_rows(pd.DataFrame({"id": ["s-1", "s-2", "s-3"], "text": texts, **more}), path)
    return path


@pytest.mark.parametrize("end", ["csv", "jsonl"])
@pytest.mark.parametrize("subject", [MEANT, Subject(ids=frozenset(["s-2"]))], ids=["text", "id"])
def test_the_row_goes_and_the_others_stay_byte_by_byte(workdir, end, subject):
    path = table(SUSPECTS / f"toy.{end}")
    whole = path.read_bytes()
    assert from_files("toy", Subject(texts=frozenset(["fin"])), []) == (0, 0, [])
    assert path.read_bytes() == whole
    assert from_files("toy", subject, []).rows == 1
    assert b"Anna" not in path.read_bytes()
    table(path)
    write_rows(pd.DataFrame({"id": ["s-1", "s-3"], "text": ["fine", "of nobody"]}), other := path.with_stem("other"))
    from_files("toy", subject, [])
    assert path.read_bytes() == other.read_bytes()


def test_by_request_and_what_people_filled_in_stays(workdir):
    path = table(WANTED / "toy.csv", request_id=["r1", "r2", "r3"], true_label=["good", "", "bad"])
    assert from_files("toy", Subject(), ["r2"]).rows == 1
    assert pd.read_csv(path)["true_label"].tolist() == ["good", "bad"]


def test_of_another_line_nothing_goes_and_what_cannot_be_read_is_named(workdir):
    other = table(SUSPECTS / "other.csv")
    odd = SUSPECTS / "toy.csv"
    odd.write_text("id;words\n1;x\n")
    broken = WANTED / "toy.jsonl"
    broken.parent.mkdir()
    broken.write_text("{")
    found = from_files("toy", MEANT, [])
    assert (found.rows, sorted(found.unread)) == (0, sorted([odd, broken]))
    assert b"Anna" in other.read_bytes()


def test_pages_that_show_it(workdir):
    from markupsafe import escape

    for name, shown in (("toy-labels", 'O\'Hara said "no"'), ("toyo-labels", 'O\'Hara said "no"')):
        path = Path(f".tidegate/reports/{name}.html")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"<td>{escape(shown)}</td>")
    assert from_files("toy", Subject(texts=frozenset(["O'Hara said"])), []).pages == 0
    assert from_files("toy", Subject(texts=frozenset(['O\'Hara said "no"'])), []).pages == 1
    assert [path.name for path in Path(".tidegate/reports").iterdir()] == ["toyo-labels.html"]


def test_a_base_of_answers_holds_its_texts(workdir):
    base = search.Base(["s-1"], [SECRET], ["x"], np.ones((1, 2), np.float32))
    search.write(Path("made"), base)
    assert holds(Path("made"), MEANT)
    assert holds(Path("made"), Subject(ids=frozenset(["s-1"])))
    assert not holds(Path("made"), Subject(texts=frozenset(["x"])))
    np.savez("other.npz", a=np.ones(2))
    assert not holds(Path("other.npz"), MEANT)
