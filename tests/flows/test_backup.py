"""Backup and restore: a fresh clone that serves, and archives that are wrong in every way."""

import io
import json
import os
import shutil
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest
from answers import answered
from commands import tidegate
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from flows import alerts, approvals, deploy, observations, store
from flows.backup import MANIFEST, backup
from flows.lock import hold
from flows.restore import restore
from flows.tidy import LOCK
from serving.deployment import Pointer
from serving.log.recorder import LogRecorder
from serving.log.settings import LogSettings
from serving.metrics import Metrics
from tasks.core.errors import BusyError, DataError, SettingsError, TidegateError
from tasks.core.files import sha256
from tasks.core.line import STATE, Line
from tasks.opinion import store as store_of_opinions

SERVED = "sentiment/current.json"


def recorder():
    made = LogRecorder(LogSettings(keep_days=36_500), Metrics())
    made.start()
    return made


@pytest.fixture
def used(project):
    """A project with a release that serves, a row in its log, an alert, a proposal and an observation's file."""
    folder = deploy.serving_folder()
    folder.put("sentiment", store.STORE / "sentiment" / project["good"])
    folder.point(Pointer(line="sentiment", release=project["good"], variant="fp32"))
    made = recorder()
    made.answered(answered("r1"))
    assert made.stop(20)
    alerts.raise_alert("sentiment", "drift", "warning", "drifts", "why")
    approvals.propose(Line("sentiment"), project["bad"], "Anna", 24, None)
    observations.path("sentiment", "20260101T000000-aaaaaa").parent.mkdir(parents=True)
    observations.path("sentiment", "20260101T000000-aaaaaa").write_text("{}")
    return project


@pytest.fixture
def elsewhere(used, tmp_path_factory, monkeypatch):
    """A backup of it, in a clone that has nothing but what git keeps."""
    archive = tmp_path_factory.mktemp("backup") / "all.tar.gz"
    made = backup(archive)
    clone = tmp_path_factory.mktemp("clone")
    shutil.copy("params.yaml", clone)
    monkeypatch.chdir(clone)
    return archive, made


def rows():
    with closing(sqlite3.connect(STATE / "predictions.db")) as database:
        return [row[0] for row in database.execute("select request_id from predictions")]


def test_a_fresh_clone_has_all_that_is_needed_to_serve(used, elsewhere):
    archive, made = elsewhere
    assert archive.stat().st_mode & 0o777 == 0o600, "it holds texts of users"
    assert restore(archive).files == made.files
    folder = deploy.serving_folder()
    assert folder.pointer("sentiment").release == used["good"]
    assert folder.fetch("sentiment", used["good"], Path("unused")).exists(), "every byte of it is checked there"
    assert {release.id for release in store.releases("sentiment")} == {used["good"], used["bad"]}
    assert rows() == ["r1"]
    assert [alert.title for alert in alerts.open_alerts()] == ["drifts"]
    assert approvals.read("sentiment", used["bad"]).by == "Anna"
    assert observations.last_time("sentiment").year == 2026
    assert not list((STATE / "scratch").iterdir())
    restore(archive)  # again: nothing differs, nothing is in the way


def test_a_log_is_copied_whole_while_it_is_written(project, tmp_path_factory):
    made = recorder()
    for n in range(50):
        made.answered(answered(f"r{n}"))
    archive = tmp_path_factory.mktemp("backup") / "all.tar"
    try:
        backup(archive)
        with pytest.raises(BusyError, match="A service writes to the prediction log"):
            restore(archive, force=True)
    finally:
        assert made.stop(20)
    for path in STATE.glob("predictions.db*"):
        path.unlink()
    restore(archive)
    assert len(rows()) == 50


def test_opinions_are_copied_whole_while_they_are_written(workdir, monkeypatch):
    Path("params.yaml").write_text("lines: {a: {}}\n")
    database = store_of_opinions.file()
    with store_of_opinions.opened() as engine, engine.connect() as writer:
        with engine.begin() as connection:
            store_of_opinions.Store(connection, "finance").done("b1")
        writer.exec_driver_sql("pragma journal_mode = wal")
        writer.exec_driver_sql("insert into opinion_taken values ('finance', 'b2')")
        writer.commit()  # it stands in the write-ahead log alone
        assert Path(f"{database}-wal").stat().st_size
        made = backup(Path("all.tar"))
    assert [name for name in made.files if "opinion" in name] == ["opinions/opinion.db"]
    shutil.rmtree(database.parent)
    monkeypatch.setenv(store_of_opinions.URL, "sqlite:///kept/here.db")
    restore(Path("all.tar"))
    with closing(sqlite3.connect("kept/here.db")) as restored:
        assert [row[0] for row in restored.execute("select batch from opinion_taken order by 1")] == ["b1", "b2"]
    monkeypatch.setenv(store_of_opinions.URL, "postgresql://127.0.0.1:1/opinions")
    with pytest.raises(SettingsError, match="opinions in SQLite"):
        restore(Path("all.tar"))
    assert "the database of opinions" in str(backup(Path("other.tar")))


def test_what_is_here_and_differs_is_not_overwritten_unasked(elsewhere):
    archive, _ = elsewhere
    Path("params.yaml").write_text("lines: {}\n")
    with pytest.raises(TidegateError, match=r"1 file\(s\) are here and differ: params.yaml.*--force"):
        restore(archive)
    assert not store.STORE.exists() and Path("params.yaml").read_text() == "lines: {}\n"
    restore(archive, force=True)
    assert store.STORE.exists() and "sentiment" in Path("params.yaml").read_text()


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """A small archive, in bytes, to be spoilt."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("small")
        patch.chdir(folder)
        Path("params.yaml").write_text("lines: {a: {}}\n")
        for n in range(3):
            path = observations.path("a", f"2026010{n + 1}T000000-aaaaaa")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(os.urandom(300))
        backup(folder / "all.tar.gz")
        backup(folder / "all.tar")
        return {end: (folder / f"all{end}").read_bytes() for end in (".tar", ".tar.gz")}


@given(data=st.data(), end=st.sampled_from([".tar", ".tar.gz"]))
@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_archive_touches_nothing(small, workdir, data, end):
    content = bytearray(small[end])
    if data.draw(st.booleans(), label="cut short"):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    Path("damaged.tar").write_bytes(content)
    try:
        restore(Path("damaged.tar"))
    except DataError:
        assert not observations.FOLDER.exists() and not Path("params.yaml").exists()
    else:  # what was hit is no content: a header's time, padding after the end
        found = sorted((observations.FOLDER / "a").glob("*.json"))
        with tarfile.open(fileobj=io.BytesIO(small[end])) as archive:
            told = json.loads(archive.extractfile(MANIFEST).read())["files"]
        assert [sha256(path) for path in found] == [told[name]["sha256"] for name in sorted(told) if "monitor" in name]
        shutil.rmtree(STATE)
        Path("params.yaml").unlink()


def packed(path, entries):
    """An archive with a manifest that is right about its entries."""
    files = {}
    with tarfile.open(path, "w") as archive:
        for entry, content in entries:
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
            (path.parent / "x").write_bytes(content)
            files[entry.name] = {"sha256": sha256(path.parent / "x"), "size": len(content)}
        told = json.dumps({"time": "now", "commit": None, "files": files, "left": []}).encode()
        entry = tarfile.TarInfo(MANIFEST)
        entry.size = len(told)
        archive.addfile(entry, io.BytesIO(told))


def linked(name):
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, "/etc"
    return entry


@pytest.mark.parametrize(
    "entries",
    [
        [(tarfile.TarInfo("../outside"), b"x")],
        [(tarfile.TarInfo("state/../../outside"), b"x")],
        [(tarfile.TarInfo("/outside"), b"x")],
        [(tarfile.TarInfo("state//alerts/a.json"), b"x")],
        [(linked("state/alerts"), b"")],
        [(tarfile.TarInfo("state/locks/a.lock"), b"x")],
        [(tarfile.TarInfo("project/flows/cli.py"), b"x")],
        [(tarfile.TarInfo("project/.git/config"), b"x")],
        [(tarfile.TarInfo("log/other.db"), b"x")],
        [(tarfile.TarInfo("home/x"), b"x")],
        [(tarfile.TarInfo("state/alerts/a.json"), b"x"), (tarfile.TarInfo("state/alerts/a.json"), b"y")],
    ],
    ids=lambda entries: entries[0][0].name,
)
def test_names_that_lead_elsewhere_are_refused(workdir, entries):
    packed(workdir / "wrong.tar", entries)
    with pytest.raises(DataError, match=r"Nothing was touched|no backup"):
        restore(Path("wrong.tar"))
    left = {path.name for path in workdir.rglob("*") if path.is_file()} - {"wrong.tar", "x", "housekeeping.lock"}
    assert not left and not (workdir.parent / "outside").exists()


def test_a_newer_backup_is_refused(workdir):
    packed(workdir / "new.tar", [])
    with tarfile.open(workdir / "new.tar", "w") as archive:
        told = b'{"schema_version": 99, "time": "", "commit": null, "files": {}, "left": []}'
        entry = tarfile.TarInfo(MANIFEST)
        entry.size = len(told)
        archive.addfile(entry, io.BytesIO(told))
    with pytest.raises(DataError, match="newer Tidegate"):
        restore(Path("new.tar"))


def test_what_a_backup_does_not_hold_is_said(project, monkeypatch):
    monkeypatch.setenv("TIDEGATE_LOG_URL", "postgresql://127.0.0.1:1/log")
    told = str(backup(Path("all.tar")))
    assert "pg_dump" in told and "--cache" in told and "git push" in told
    with pytest.raises(SettingsError, match=r"all\.tar exists"):
        backup(Path("all.tar"))
    with pytest.raises(SettingsError, match=r"must end with \.tar"):
        backup(Path("all.zip"))
    with hold(LOCK, "busy"), pytest.raises(BusyError):
        backup(Path("other.tar"))
    assert not Path("other.tar").exists()


def test_the_cache_comes_along_on_request(assignments):
    made = backup(Path("all.tar"), cache=True)
    cached = {
        path.relative_to(".dvc/cache").as_posix() for path in Path(".dvc/cache/files").rglob("*") if path.is_file()
    }
    assert {name.removeprefix("cache/") for name in made.files if name.startswith("cache/")} >= cached
    shutil.rmtree(".dvc/cache")
    restore(Path("all.tar"))
    assert all(Path(".dvc/cache", name).exists() for name in cached)


def test_the_commands(project):
    assert "Not in it:" in tidegate("backup", "all.tar").stdout
    shutil.rmtree(store.STORE)
    assert tidegate("restore", "all.tar").stdout.startswith("Restored: ")
    assert store.releases("sentiment")
    assert tidegate("restore", "nothing.tar").returncode == 2
