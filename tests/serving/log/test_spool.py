"""The spool: nothing twice, nothing missing, counts right, whenever a process dies."""

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from answers import labelled
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from serving.log.database import migrate, open_database
from serving.log.drain import Drain, drain_leftovers
from serving.log.rows import Encoder
from serving.log.settings import LogSettings
from serving.log.spool import Spool, Writer, adopt, lag, read_segment, waiting
from serving.log.tables import feedback, losses, predictions
from serving.metrics import Metrics

ROOT = Path(__file__).parents[3]
LOG = LogSettings()


def die(writer):
    """What a kill leaves of a process: its folder, and a lock that is free."""
    writer._seal()
    writer.counters.close()
    writer._held.release(force=True)


def payloads(folder):
    return [record.payload for path in sorted(folder.glob("*.spool")) for record in read_segment(path)[0]]


def stored(engine):
    with engine.connect() as connection:
        ids = connection.scalars(select(feedback.c.request_id)).all()
        kinds = select(losses.c.kind, func.sum(losses.c.count)).group_by(losses.c.kind)
        return ids, {kind: int(count) for kind, count in connection.execute(kinds)}


def test_what_was_appended_is_on_disk(workdir):
    writer = Writer(Path("spool"), 1 << 20)
    assert writer.append(b"one")
    assert writer.append(b"two")
    assert payloads(writer.folder) == [b"one", b"two"]
    assert (writer.accepted, writer.dropped, writer.settled) == (2, 0, 0)
    assert lag(Path("spool")) == 2


def test_threads_append_side_by_side(workdir):
    writer = Writer(Path("spool"), 1 << 20, segment_bytes=500)
    threads = [
        threading.Thread(target=lambda n=n: [writer.append(f"{n}-{i}".encode()) for i in range(200)]) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    found = payloads(writer.folder)
    assert sorted(found) == sorted(f"{n}-{i}".encode() for n in range(4) for i in range(200))
    numbers = [record.number for path in sorted(writer.folder.glob("*.spool")) for record in read_segment(path)[0]]
    assert numbers == list(range(1, 801))


def test_what_is_settled_is_not_read_again(workdir):
    writer = Writer(Path("spool"), 1 << 20)
    for payload in (b"one", b"two", b"three"):
        writer.append(payload)
    writer.settle(2)
    (path,) = writer.folder.glob("*.spool")
    assert [record.payload for record in writer.read(path)[0]] == [b"three"]


def test_beyond_its_bound_it_drops_and_counts(workdir):
    writer = Writer(Path("spool"), 100)
    assert [writer.append(bytes(30)) for _ in range(4)] == [True, True, False, False]
    assert (writer.accepted, writer.dropped) == (2, 2)


@pytest.mark.parametrize("fails", ["open", "write", "half"])
def test_a_full_disk_is_a_drop_and_leaves_no_hole(workdir, monkeypatch, fails):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    real = os.write
    writer = Writer(Path("spool"), 1 << 20)
    if fails != "open":
        writer.append(b"one")
    with monkeypatch.context() as patch:
        patch.setattr(os, "open" if fails == "open" else "write", full)
        if fails == "half":
            patch.setattr(os, "write", lambda file, frame: real(file, frame[:7]))
        assert not writer.append(b"two")
    assert writer.append(b"three")
    assert payloads(writer.folder)[-1] == b"three"
    assert writer.accepted == len(payloads(writer.folder))
    assert writer.dropped == 1


def test_half_a_record_that_cannot_be_taken_back_ends_its_segment(workdir, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    real = os.write
    writer = Writer(Path("spool"), 1 << 20)
    writer.append(b"one")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda file, frame: real(file, frame[:7]))
        patch.setattr(os, "ftruncate", full)
        assert not writer.append(b"two")
    assert writer.append(b"three")
    assert payloads(writer.folder) == [b"one", b"three"]
    assert writer.accepted == 2


def test_a_spool_is_adopted_when_its_process_is_dead_and_not_before(workdir):
    root = Path("spool")
    old, new = Writer(root, 1 << 20), Writer(root, 1 << 20)
    old.append(b"old")
    new.append(b"new")
    assert adopt(root) == []
    die(old)
    (leftover,) = adopt(root, but=new.name)
    assert leftover.name == old.name
    assert adopt(root) == []  # this one holds it now
    leftover.let_go()
    assert len(waiting(root)) == 2


def test_an_empty_spool_goes_with_its_process(workdir):
    writer = Writer(Path("spool"), 1 << 20)
    writer.close()
    assert not writer.append(b"late")
    writer.let_go()
    assert [path.name for path in Path("spool").iterdir()] == ["lock"]


def test_a_process_killed_while_it_made_its_folder_leaves_nothing(workdir):
    Path("spool/v1-half").mkdir(parents=True)
    for leftover in adopt(Path("spool")):
        leftover.let_go()
    assert not Path("spool/v1-half").exists()


@given(st.binary(max_size=300), st.integers(0, 400))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_byte_is_never_a_record(tmp_path, payload, place):
    writer = Writer(tmp_path / "spool", 1 << 20)
    for _ in range(2):
        writer.append(payload)
    (path,) = writer.folder.glob("*.spool")
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 1
    path.write_bytes(content)
    records, whole = read_segment(path)
    assert not whole
    assert all(record.payload == payload and record.number == n for n, record in enumerate(records, start=1))
    assert len(records) == (place % len(content)) // (len(content) // 2)
    die(writer)
    shutil.rmtree(tmp_path / "spool")


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A database at the newest schema, to be copied."""
    path = tmp_path_factory.mktemp("template") / "log.db"
    engine = open_database(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()
    return path


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 200)),
        st.tuples(st.just("drain"), st.none()),
        st.tuples(st.just("half"), st.none()),
        st.tuples(st.just("crash"), st.floats(0, 1)),
    ),
    max_size=25,
)


@given(STEPS, st.integers(300, 3000), st.integers(200, 1000))
@settings(max_examples=80, deadline=None)
def test_any_life_of_a_spool(template, steps, max_bytes, segment_bytes):
    """Appends, drains, drains cut off before they settle, and crashes that cut the newest segment at any byte."""
    with tempfile.TemporaryDirectory() as name:
        life = Life(Path(name), template, max_bytes, segment_bytes)
        for step, given_ in steps:
            getattr(life, step)(given_)
        life.crash(1.0)
        life.drain(None)
        ids, kinds = stored(life.drainer.engine)
        assert sorted(ids) == sorted(life.safe)
        assert kinds.get("lost", 0) + kinds.get("torn", 0) == life.cut
        assert kinds.get("dropped", 0) == life.dropped
        assert "refused" not in kinds
        life.end()


def test_a_record_that_was_cut_is_told_from_those_that_are_gone(template):
    with tempfile.TemporaryDirectory() as name:
        life = Life(Path(name), template, 10_000, 10_000)
        for _ in range(4):
            life.append(50)
        life.crash(0.4)  # in mid-way of the second
        life.drain(None)
        assert stored(life.drainer.engine) == (["r1"], {"torn": 1, "lost": 2})
        life.end()


class Life:
    """Processes that follow each other on one spool, and what each should leave in the database."""

    def __init__(self, folder, template, max_bytes, segment_bytes):
        shutil.copy(template, folder / "log.db")
        self.settings = LogSettings(url=f"sqlite:///{folder}/log.db", spool=str(folder / "spool"), batch_rows=2)
        self.bounds = max_bytes, segment_bytes
        self.safe, self.cut, self.dropped, self.n = [], 0, 0, 0
        self.encoder = Encoder(self.settings)
        self.begin()

    def begin(self):
        self.writer = Writer(Path(self.settings.spool), *self.bounds)
        self.drainer = Drain(self.settings, Metrics(), self.writer)

    def append(self, length):
        self.n += 1
        kept = self.writer.append(self.encoder.feedback(labelled(f"r{self.n}", label="x" * length)))
        self.safe += [f"r{self.n}"] if kept else []
        self.dropped += not kept

    def drain(self, _):
        self.drainer._next_adoption = 0
        self.drainer.once()

    def half(self, _):
        """Stored, and killed before it is settled: the next process meets the same records again."""

        def killed(*_):
            raise KeyboardInterrupt

        with pytest.MonkeyPatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
            patch.setattr(Spool, "settle", killed)
            self.writer.seal()
            self.drainer._empty(self.writer)
        self.crash(1.0)

    def crash(self, where):
        """Die, and lose the newest segment from some byte on."""
        segments = sorted(self.writer.folder.glob("*.spool"))
        if segments and where < 1:
            self._cut(segments[-1], where)
        die(self.writer)
        self.drainer.engine.dispose()
        self.begin()

    def _cut(self, path, where):
        records, _ = read_segment(path)
        kept = path.read_bytes()[: int(path.stat().st_size * where)]
        path.write_bytes(kept)
        left, _ = read_segment(path)
        with self.drainer.engine.connect() as connection:
            there = set(connection.scalars(select(feedback.c.request_id)))
        for record in records[len(left) :]:
            gone = next(id_ for id_ in self.safe if f'"{id_}"'.encode() in record.payload)
            self.cut += 1
            if gone not in there:
                self.safe.remove(gone)

    def end(self):
        die(self.writer)
        self.drainer.engine.dispose()


SERVICE = """
import sys
sys.path.insert(0, "tests")
from answers import answered
from serving.log.recorder import LogRecorder
from serving.log.settings import LogSettings
from serving.metrics import Metrics

if __name__ == "__main__":
    recorder = LogRecorder(LogSettings(url=sys.argv[1], spool=sys.argv[2], drain_seconds=0.01), Metrics())
    recorder.start()
    n = 0
    while True:
        n += 1
        recorder.answered(answered(f"{sys.argv[3]}-{n}", ["a text", "another one"]))
        print(f"{sys.argv[3]}-{n}", flush=True)
"""


def service(folder, name):
    """A process that answers without end and prints each request's id when its answer may go out."""
    command = [sys.executable, "-c", SERVICE, f"sqlite:///{folder}/log.db", str(folder / "spool"), name]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )


@pytest.mark.parametrize("answers", [1, 7, 300])
def test_kill_9_loses_no_answer_that_went_out(workdir, answers):
    names = ("one", "two")
    children = [service(workdir, name) for name in names]
    try:
        out = [{child.stdout.readline().strip() for _ in range(answers)} for child in children]
    finally:
        for child in children:
            child.send_signal(signal.SIGKILL)
    for seen, child in zip(out, children, strict=True):
        seen |= {line.strip() for line in child.stdout if line.endswith("\n")}
        child.wait(30)
    counters = {path.parent.name: path.read_bytes()[:8] for path in workdir.glob("spool/v1-*/counters")}
    accepted = sum(int.from_bytes(content, sys.byteorder) for content in counters.values())
    settings = LogSettings(url=f"sqlite:///{workdir}/log.db", spool=str(workdir / "spool"))
    drain_leftovers(settings)
    with open_database(settings.url).connect() as connection:
        rows = connection.execute(select(predictions.c.request_id, predictions.c.position)).all()
        lost = connection.scalar(select(func.coalesce(func.sum(losses.c.count), 0)))
    ids = {row.request_id for row in rows}
    assert out[0] | out[1] <= ids
    assert len(rows) == 2 * len(ids)
    assert lost == accepted - len(ids) <= 2  # in mid-append, not answered
    assert waiting(workdir / "spool") == []
