"""Sync: what is new becomes a batch, once; whatever goes wrong, the inbox holds whole batches only."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import inbox
from tasks.core.errors import BusyError, DataError, SourceError
from tasks.core.line import Line
from tasks.rows import BATCH
from tasks.sources import parse_sources
from tasks.sync import news, sync
from tasks.text import TextSettings

LINE, TEXT = Line("made"), TextSettings()
ROOT = Path(__file__).parents[2]


def sources(path="a.csv", **block):
    columns = {"id": "id", "text": "text"}
    return parse_sources({"sources": [{"kind": "file", "name": "s", "path": path, "columns": columns} | block]}, "made")


def write(name, rows):
    Path(name).write_text("id,text\n" + "".join(f"{id},{text}\n" for id, text in rows))


def texts():
    return [text for path in inbox.batches(LINE) for text in pq.read_table(path)["text"].to_pylist()]


def test_a_batch_holds_clean_text_and_its_provenance(workdir):
    write("a.csv", [(1, "mail <b>me</b> at a.b@example.org"), (2, "")])
    (path,) = sync(LINE, sources(), TEXT)
    table = pq.read_table(path)
    assert table.schema.remove_metadata() == BATCH
    assert table["text"].to_pylist() == ["mail me at [EMAIL]", ""]
    assert b"example.org" not in path.read_bytes()
    told = inbox.provenance(path)
    assert {"source": "s", "kind": "file", "uri": "a.csv", "rows": 2, "duplicates": 0}.items() <= told.items()
    assert sorted(p.name for p in LINE.folder.iterdir()) == ["inbox"]


def test_rows_of_a_kind_that_is_dropped_are_never_written(workdir):
    write("a.csv", [(1, "mail a.b@example.org"), (2, "<i>fine</i>"), (3, "mail a.b@example.org")])
    (path,) = sync(LINE, sources(), TextSettings(email="drop"))
    told = inbox.provenance(path)
    assert texts() == ["fine"]
    assert (told["rows"], told["dropped"], told["changed"]) == (1, {"email": 2}, {"email": 2, "html": 1})
    write("b.csv", [(4, "x@example.org")])
    assert sync(LINE, sources("b.csv", name="t"), TextSettings(email="drop")) == []
    assert not news(LINE, sources("b.csv", name="t"))


def test_two_checkouts_make_the_same_bytes(tmp_path, monkeypatch):
    made = []
    for name in ("one", "two/deeper"):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        monkeypatch.chdir(folder)
        write("a.csv", [(n, f"text {n}") for n in range(50)])
        os.utime("a.csv", (len(made), len(made)))
        (path,) = sync(LINE, sources(), TEXT)
        made.append((path.name, path.read_bytes()))
    assert made[0] == made[1]


def test_nothing_new_reads_nothing(workdir, monkeypatch):
    write("a.csv", [(1, "one")])
    assert news(LINE, sources())
    sync(LINE, sources(), TEXT)
    assert not news(LINE, sources())
    from tasks.sources.file import FileSource

    monkeypatch.setattr(FileSource, "open", None)
    assert sync(LINE, sources(), TEXT) == []


def test_an_unchanged_file_is_not_read_again_on_another_machine(workdir, monkeypatch):
    write("a.csv", [(1, "one")])
    sync(LINE, sources(), TEXT)
    shutil.rmtree(".tidegate")
    from tasks.sources.file import FileSource

    monkeypatch.setattr(FileSource, "rows", None)
    assert news(LINE, sources())
    assert sync(LINE, sources(), TEXT) == []
    assert not news(LINE, sources())


def test_only_new_rows_of_a_grown_file_are_taken(workdir):
    write("a.csv", [(1, "one"), (1, "one"), (2, "two")])
    sync(LINE, sources(), TEXT)
    write("a.csv", [(3, "three"), (1, "one"), (2, "two"), (1, "one"), (1, "one")])
    (path,) = sync(LINE, sources(), TEXT)
    assert pq.read_table(path)["text"].to_pylist() == ["three", "one"]
    assert inbox.provenance(path)["duplicates"] == 3
    keys = [key for batch in inbox.batches(LINE) for key in pq.read_table(batch)["row_key"].to_pylist()]
    assert len(set(keys)) == len(keys) == 5


def test_a_changed_file_without_new_rows_makes_no_batch_and_is_remembered(workdir):
    write("a.csv", [(1, "one"), (2, "two")])
    sync(LINE, sources(), TEXT)
    write("a.csv", [(2, "two")])
    assert news(LINE, sources())
    assert sync(LINE, sources(), TEXT) == []
    assert not news(LINE, sources())


def test_rows_of_overlapping_files_are_taken_once(workdir):
    write("a1.csv", [(1, "one"), (2, "two")])
    write("a2.csv", [(2, "two"), (3, "three")])
    assert len(sync(LINE, sources("a*.csv"), TEXT)) == 2
    assert sorted(texts()) == ["one", "three", "two"]


def test_a_policy_changed_later_takes_no_row_again(workdir):
    write("a.csv", [(1, "a.b@example.org")])
    sync(LINE, sources(), TEXT)
    write("a.csv", [(1, "a.b@example.org"), (2, "two")])
    sync(LINE, sources(), TextSettings(email="off"))
    assert sorted(texts()) == ["[EMAIL]", "two"]


def test_a_deleted_batch_is_taken_again(workdir):
    write("a.csv", [(1, "one")])
    (path,) = sync(LINE, sources(), TEXT)
    path.unlink()
    assert news(LINE, sources())
    assert sync(LINE, sources(), TEXT) == [path]


def test_reading_otherwise_is_refused(workdir):
    write("a.csv", [(1, "one")])
    sync(LINE, sources(), TEXT)
    with pytest.raises(SourceError, match=r"'s' is set to be read otherwise .* another name"):
        sync(LINE, sources(columns={"text": "text"}), TEXT)
    assert news(LINE, sources(columns={"text": "text"}))


def test_a_source_that_is_gone_leaves_the_inbox(workdir):
    write("a.csv", [(1, "one")])
    sync(LINE, sources(), TEXT)
    Path("a.csv").unlink()
    assert news(LINE, sources())
    with pytest.raises(SourceError, match=r"there is no file a\.csv"):
        sync(LINE, sources(), TEXT)
    assert texts() == ["one"]


def test_what_came_before_a_bad_file_stays(workdir):
    write("a1.csv", [(1, "one")])
    Path("a2.csv").write_bytes("id,text\n1,café\n".encode("latin-1"))
    with pytest.raises(SourceError, match=r"a2\.csv: line 2 is not utf-8"):
        sync(LINE, sources("a*.csv"), TEXT)
    assert texts() == ["one"]
    write("a2.csv", [(2, "two")])
    sync(LINE, sources("a*.csv"), TEXT)
    assert sorted(texts()) == ["one", "two"]


@pytest.mark.parametrize("where", ["os.fsync", "pyarrow.parquet.ParquetWriter.write_table"])
def test_no_space_left(workdir, monkeypatch, where):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    write("a.csv", [(1, "one")])
    with monkeypatch.context() as patch:
        patch.setattr(where, full)
        with pytest.raises(SourceError, match="No space left on the disk"):
            sync(LINE, sources(), TEXT)
    assert texts() == []
    sync(LINE, sources(), TEXT)
    assert texts() == ["one"]


STALLED = """
import sys, time
import tasks.sync as module
from tasks.core.line import Line
from tasks.sources import parse_sources
from tasks.text import TextSettings
module._put = lambda *_: (print("written", flush=True), time.sleep(60))
block = {"kind": "file", "name": "s", "path": "a.csv", "columns": {"id": "id", "text": "text"}}
module.sync(Line("made"), parse_sources({"sources": [block]}, "made"), TextSettings())
"""


@pytest.fixture
def stalled(workdir):
    """A sync in a process of its own that has written its batch and not yet put it into the inbox."""
    write("a.csv", [(1, "one")])
    command = [sys.executable, "-c", STALLED]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}) as child:
        assert child.stdout.readline() == b"written\n"
        yield child
        child.kill()


def test_killed_before_its_end_and_run_again(stalled):
    stalled.send_signal(signal.SIGKILL)
    stalled.wait()
    assert inbox.batches(LINE) == []
    assert list((LINE.folder / ".sync").iterdir())
    sync(LINE, sources(), TEXT)
    assert texts() == ["one"]
    assert not (LINE.folder / ".sync").exists()


def test_two_at_once(stalled):
    with pytest.raises(BusyError, match="Another sync of made is running"):
        sync(LINE, sources(), TEXT)


def test_a_file_that_changes_while_it_is_read(workdir, monkeypatch):
    from tasks.sources import file

    real = file.read

    def read(*arguments):
        yield from real(*arguments)
        write("a.csv", [(1, "one"), (2, "two")])

    write("a.csv", [(1, "one")])
    with monkeypatch.context() as patch:
        patch.setattr(file, "read", read)
        with pytest.raises(SourceError, match=r"a\.csv changed while it was read"):
            sync(LINE, sources(), TEXT)
    assert texts() == []
    sync(LINE, sources(), TEXT)
    assert texts() == ["one", "two"]


def test_a_text_of_1_mb_stays_whole(workdir):
    long = "The film was good &amp; the cast is warm. " * 25_000
    write("a.csv", [(1, long), (2, "two")])
    sync(LINE, sources(), TEXT)
    assert texts() == [long.replace("&amp;", "&").strip(), "two"]


def test_memory_that_is_damaged_costs_time_only(workdir):
    write("a.csv", [(1, "one")])
    sync(LINE, sources(), TEXT)
    Path(".tidegate/sync/made.json").write_text("{")
    assert sync(LINE, sources(), TEXT) == []


def test_what_is_no_batch_is_named(workdir):
    LINE.inbox.mkdir(parents=True)
    pd.DataFrame({"a": [1]}).to_parquet(LINE.inbox / "x.parquet")
    with pytest.raises(DataError, match=r"x\.parquet is no batch"):
        news(LINE, sources())
    (LINE.inbox / "x.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"x\.parquet is damaged"):
        sync(LINE, sources(), TEXT)


@given(st.lists(st.lists(st.integers(0, 5), max_size=20), max_size=4))
def test_counting_agrees_with_a_dictionary(chunks):
    counter, plain = inbox.Counter(), {}
    for chunk in chunks:
        keys = np.array(chunk, np.uint64)
        expected = []
        for key in chunk:
            expected.append(plain.get(key, 0))
            plain[key] = plain.get(key, 0) + 1
        assert (counter.count(keys) + inbox.occurrence(keys)).tolist() == expected
        counter.add(keys)
    assert counter.repeated() == sum(plain.values()) - len(plain)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="measured where /proc is")
def test_200_000_rows_in_bounded_memory_and_time(workdir):
    with Path("a.csv").open("w") as stream:
        stream.write("id,text\n")
        stream.writelines(f"{n},the film was good and the cast is warm number {n}\n" for n in range(200_000))
    script = STALLED.replace("module._put = ", "_ = ") + (
        # not getrusage: its maximum counts the parent's memory from before exec
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    start = time.perf_counter()
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True
    )
    assert time.perf_counter() - start < 60
    assert int(ran.stdout) < 600_000  # kilobytes; 1,000,000 rows take 570 MB
    assert len(texts()) == 200_000
