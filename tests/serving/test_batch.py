import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT
from filelock import FileLock
from made import texts

from serving.batch import column_names, predict_file
from tasks.bundle import release_id
from tasks.core.errors import BusyError, DataError, StageError
from tasks.core.files import read_json
from tasks.inference import Model

ADDED = ["label", "confidence", "probability_negative", "probability_positive"]


@pytest.fixture(scope="module")
def release(released):
    return released / "data/sentiment/release/bundle"


def rows(count=53):
    return pd.DataFrame({"nr": [f"{n:03d}" for n in range(count)], "text": texts(count, seed=5)})


def write(path, frame):
    match path.suffix:
        case ".csv" | ".tsv":
            frame.to_csv(path, index=False, sep="," if path.suffix == ".csv" else "\t")
        case ".jsonl":
            frame.to_json(path, orient="records", lines=True, force_ascii=False)
        case ".parquet":
            frame.to_parquet(path)
    return path


def read(path):
    match path.suffix:
        case ".csv" | ".tsv":
            return pd.read_csv(path, dtype={"nr": str}, sep="," if path.suffix == ".csv" else "\t")
        case ".jsonl":
            return pd.read_json(path, orient="records", lines=True, dtype={"nr": str})
        case ".parquet":
            return pd.read_parquet(path)


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_every_kind_comes_back_with_its_columns_and_the_answers(release, tmp_path, kind):
    source, output = tmp_path / f"in.{kind}", tmp_path / "new" / f"out.{kind}"
    write(source, rows())
    summary = predict_file(release, source, output, chunk_rows=10, variant="fp32")
    found = read(output)
    assert list(found.columns) == ["nr", "text", *ADDED]
    pd.testing.assert_frame_equal(found[["nr", "text"]], read(source), check_dtype=False)
    answers = Model.load(release, "fp32").predict(rows()["text"].tolist())
    assert found["label"].tolist() == answers.labels.tolist()
    np.testing.assert_allclose(found[ADDED[2:]], answers.probabilities, atol=1e-5)
    np.testing.assert_allclose(found["confidence"], answers.confidence, atol=1e-5)
    assert str(summary) == f"{output}: 53 rows, release {release_id(release)} (fp32)."
    assert [path.name for path in output.parent.iterdir()] == [output.name]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_rows_without_a_text_stay_and_are_counted(release, tmp_path, kind):
    frame = rows(5)
    frame.loc[[1, 3], "text"] = [None, "  "]
    source, output = write(tmp_path / f"in.{kind}", frame), tmp_path / f"out.{kind}"
    summary = predict_file(release, source, output, chunk_rows=2)
    found = read(output)
    assert summary.without_text == 2
    assert "2 without a text got no prediction" in str(summary)
    assert found["label"].isna().tolist() == [False, True, False, True, False]
    assert found[ADDED[1:]].isna().all(axis=1).tolist() == [False, True, False, True, False]


def test_raw_texts_are_masked_before_they_are_read(release, tmp_path):
    source = write(tmp_path / "in.csv", pd.DataFrame({"text": ["great, ask a@example.com", "great, ask [EMAIL]"]}))
    predict_file(release, source, tmp_path / "out.csv")
    found = read(tmp_path / "out.csv")
    assert found["probability_positive"].nunique() == 1
    assert found["text"][0] == "great, ask a@example.com"  # the user's own file is given back as it came


def test_cells_survive_whatever_is_in_them(release, tmp_path):
    odd = ['with "quotes", commas', "two\nlines", "007", "NA", "1e5", "текст", "x" * 200_000]
    source = tmp_path / "in.csv"
    pd.DataFrame({"text": odd, "note": odd[::-1]}).to_csv(source, index=False, encoding="utf-8-sig")
    predict_file(release, source, tmp_path / "out.csv", chunk_rows=3)
    found = pd.read_csv(tmp_path / "out.csv", keep_default_na=False, dtype=str)
    assert found["text"].tolist() == odd
    assert found["note"].tolist() == odd[::-1]


def test_json_values_survive(release, tmp_path):
    objects = [
        {"text": "a", "deep": {"x": [1, None]}, "n": 2**70},
        {"text": "half \ud800", "other": 1.0},
        {"no": "text"},
    ]
    (tmp_path / "in.jsonl").write_text("\n\n".join(json.dumps(o) for o in objects))
    predict_file(release, tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [{k: v for k, v in row.items() if k not in ADDED} for row in found] == objects
    assert found[2]["label"] is None


def test_parquet_types_survive(release, tmp_path):
    table = pa.table(
        {
            "text": pa.array(["a", "b", "a"]).dictionary_encode(),
            "when": pa.array([0, None, 5], pa.timestamp("us", "UTC")),
            "tags": pa.array([["x"], [], None]),
        }
    )
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=2)
    predict_file(release, tmp_path / "in.parquet", tmp_path / "out.parquet", chunk_rows=2)
    found = pq.read_table(tmp_path / "out.parquet")
    assert found.select(table.column_names).equals(table)
    assert found.schema.field("confidence").type == pa.float32()


def test_new_columns_do_not_hide_old_ones(release, tmp_path):
    assert column_names(["text", "confidence"], ["label", "confidence", "probability_a"]) == [
        "predicted_label",
        "predicted_confidence",
        "predicted_probability_a",
    ]
    source = write(tmp_path / "in.csv", rows(3).assign(label="mine"))
    predict_file(release, source, tmp_path / "out.csv")
    assert list(read(tmp_path / "out.csv").columns) == ["nr", "text", "label", *(f"predicted_{name}" for name in ADDED)]


def crash_after(monkeypatch, chunks):
    """Let the third chunk fail, as a full disk or a power cut would."""
    plain, calls = Model.predict, []

    def predict(self, given, cleaned=False):
        calls.append(len(given))
        if len(calls) > chunks:
            raise OSError("gone")
        return plain(self, given, cleaned)

    monkeypatch.setattr(Model, "predict", predict)
    return calls


def test_a_broken_run_goes_on_behind_its_finished_chunks(release, tmp_path, monkeypatch):
    source, output = write(tmp_path / "in.csv", rows()), tmp_path / "out.csv"
    output.write_text("earlier")
    with monkeypatch.context() as patch:
        crash_after(patch, 2)
        with pytest.raises(OSError, match="gone"):
            predict_file(release, source, output, chunk_rows=10, variant="int8")
    assert output.read_text() == "earlier"
    with monkeypatch.context() as patch:
        calls = crash_after(patch, 100)
        summary = predict_file(release, source, output, chunk_rows=10, variant="int8")
    assert summary.reused == 20
    assert "20 of them scored by an earlier run" in str(summary)
    assert calls == [10, 10, 10, 3]
    unbroken = tmp_path / "unbroken.csv"
    predict_file(release, source, unbroken, chunk_rows=10, variant="int8")
    assert unbroken.read_bytes() == output.read_bytes()


@pytest.mark.parametrize("change", ["input", "chunk_rows", "variant"])
def test_parts_of_another_job_are_not_used(release, tmp_path, monkeypatch, change):
    source, output = write(tmp_path / "in.csv", rows()), tmp_path / "out.csv"
    with monkeypatch.context() as patch:
        crash_after(patch, 2)
        with pytest.raises(OSError, match="gone"):
            predict_file(release, source, output, chunk_rows=10, variant="int8")
    options = {"chunk_rows": 10, "variant": "int8"}
    if change == "input":
        write(source, rows(54))
    else:
        options[change] = {"chunk_rows": 20, "variant": "fp32"}[change]
    assert predict_file(release, source, output, **options).reused == 0


def test_the_variant_of_a_broken_run_is_kept(release, tmp_path, monkeypatch):
    source, output = write(tmp_path / "in.csv", rows()), tmp_path / "out.csv"
    for variant in ("fp32", "int8"):
        with monkeypatch.context() as patch:
            crash_after(patch, 2)
            with pytest.raises(OSError, match="gone"):
                predict_file(release, source, output, chunk_rows=10, variant=variant)
        summary = predict_file(release, source, output, chunk_rows=10)
        assert (summary.variant, summary.reused) == (variant, 20)


def test_kill_9_loses_no_finished_chunk(release, tmp_path):
    source, output = write(tmp_path / "in.csv", rows(6000)), tmp_path / "out.csv"
    call = f"predict_file(Path({str(release)!r}), Path({str(source)!r}), Path({str(output)!r}), chunk_rows=20)"
    program = f"from pathlib import Path; from serving.batch import predict_file; {call}"
    child = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    parts = tmp_path / ".out.csv.parts"
    deadline = time.monotonic() + 60
    while len(list(parts.glob("*.npy"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert not output.exists()
    assert predict_file(release, source, output, chunk_rows=20).reused >= 60
    assert len(read(output)) == 6000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "out.csv"]


def test_two_runs_do_not_write_the_same_output(release, tmp_path):
    source = write(tmp_path / "in.csv", rows(3))
    with FileLock(tmp_path / ".out.csv.lock"), pytest.raises(BusyError, match="Another run is writing"):
        predict_file(release, source, tmp_path / "out.csv")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("in.csv", b"id,txt\n1,a\n", r"no column 'text'; it has 'id', 'txt'"),
        ("in.csv", b"", "is empty: it has no header line"),
        ("in.csv", b"text\n", "has no rows"),
        ("in.csv", b"text\ncaf\xe9\n", r"not UTF-8 \(byte 0xe9.*iconv -f latin1"),
        ("in.csv", b"text,n\na,1\nb\n", r"row of 1 cells at or before line 3; the header names 2"),
        ("in.csv", b"text,text\na,b\n", "has the column text more than once"),
        ("in.jsonl", b"", "is empty"),
        ("in.jsonl", b'{"text": "a"}\n{"text": \n', r"line 2, is no JSON"),
        ("in.jsonl", b'["a"]\n', "line 1, is no JSON object but list"),
        ("in.jsonl", b'{"text": 5}\n', "holds int under 'text', texts are needed"),
        ("in.jsonl", b'{"body": "x"}\n', "no column 'text'; it has 'body'"),
        ("in.jsonl", b'{"text": "caf\xe9"}\n', "not UTF-8"),
        ("in.parquet", b"PAR1 no", "not readable as parquet"),
        ("in.xlsx", b"", r"ends in .xlsx; files that can be read end in csv, tsv, jsonl, parquet"),
        ("in", b"", "ends in nothing"),
    ],
)  # fmt: skip
def test_a_source_that_cannot_be_read_is_said_so_before_anything_is_scored(release, tmp_path, name, content, message):
    source = tmp_path / name
    source.write_bytes(content)
    with pytest.raises(DataError, match=message):
        predict_file(release, source, tmp_path / f"out{source.suffix}")
    assert list(tmp_path.iterdir()) == [source]


def test_texts_of_a_bad_file_are_not_repeated_in_the_message(release, tmp_path):
    (tmp_path / "in.csv").write_text("text,n\nsecret,1\nsecret\n")
    with pytest.raises(DataError) as caught:
        predict_file(release, tmp_path / "in.csv", tmp_path / "out.csv")
    assert "secret" not in str(caught.value)


def test_numbers_are_no_texts(release, tmp_path):
    source = write(tmp_path / "in.parquet", pd.DataFrame({"text": [1, 2]}))
    with pytest.raises(DataError, match="column 'text' holds int64, texts are needed"):
        predict_file(release, source, tmp_path / "out.parquet")


def test_wrong_places_are_said(release, tmp_path):
    source = write(tmp_path / "in.csv", rows(2))
    for output, message in ((tmp_path / "out.jsonl", "should end in .csv"), (source, "is the source itself")):
        with pytest.raises(DataError, match=message):
            predict_file(release, source, output)
    with pytest.raises(DataError, match="is missing"):
        predict_file(release, tmp_path / "nowhere.csv", tmp_path / "out.csv")


def test_a_changed_release_scores_nothing(bundle, tmp_path):
    source = write(tmp_path / "in.csv", rows(2))
    (bundle / "int8.onnx").write_bytes(b"changed")
    with pytest.raises(StageError, match=r"int8.onnx is not the file that was released"):
        predict_file(bundle, source, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_memory_does_not_grow_with_the_file(release, tmp_path):
    """Ten times the rows, about the same peak: the file passes through in chunks."""
    peaks = []
    for count in (3_000, 30_000):
        source = tmp_path / f"{count}.csv"
        with source.open("w") as stream:
            stream.write("text,filler\n" + f"good,{'x' * 1000}\n" * count)
        program = (
            "from pathlib import Path; from serving.batch import predict_file; from tasks.timings import peak_memory;"
            f"release, source, output = map(Path, {[str(release), str(source), str(tmp_path / 'out.csv')]});"
            "predict_file(release, source, output, chunk_rows=1000);"
            "print(peak_memory())"
        )
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout.split()[-1]))
    assert peaks[1] - peaks[0] < 15e6, peaks
    assert read_json(release / "signature.json")["labels"]
