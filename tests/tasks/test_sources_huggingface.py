"""Rows of datasets: a folder as the hub lays it out, one of save_to_disk, and a stand-in for the hub itself."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks import inbox
from tasks.core.errors import SettingsError, SourceError
from tasks.core.line import Line
from tasks.sources import parse_sources
from tasks.sync import news, sync
from tasks.text import TextSettings

LINE, TEXT = Line("made"), TextSettings()
SHA, LATER = "a" * 40, "b" * 40
NAMES = ["negative", "positive"]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)  # between its own tries


def table(*numbers):
    features = {"text": {"_type": "Value"}, "label": {"names": NAMES, "_type": "ClassLabel"}}
    return pa.table(
        {"text": [f"text {n}" for n in numbers], "label": [n % 3 - 1 for n in numbers]}
    ).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def source(**block):
    block = {"kind": "huggingface", "name": "s", "columns": {"text": "text", "label": "label"}} | block
    return parse_sources({"sources": [block]}, "made")


def taken():
    return [row for path in inbox.batches(LINE) for row in pq.read_table(path, columns=["text", "label"]).to_pylist()]


def rows(*numbers):
    return [{"text": f"text {n}", "label": [None, *NAMES][n % 3]} for n in numbers]


def laid_out(folder):
    """As a dataset's repository: parquet files by split, a card, a script."""
    (folder / "data").mkdir(parents=True)
    pq.write_table(table(1, 2, 3), folder / "data/train-00000-of-00002.parquet")
    pq.write_table(table(4, 5), folder / "data/train-00001-of-00002.parquet")
    pq.write_table(table(6), folder / "data/test-00000-of-00001.parquet")
    (folder / "README.md").write_text("# A dataset")
    (folder / "loader.py").write_text("raise SystemExit('never run')")
    return folder


def saved_to_disk(folder, *numbers):
    """As `datasets.Dataset.save_to_disk` writes it: arrow streams with state and info beside."""
    folder.mkdir(parents=True)
    path = str(folder / "data-00000-of-00001.arrow")
    with pa.OSFile(path, "wb") as sink, pa.ipc.new_stream(sink, table(*numbers).schema) as writer:
        writer.write_table(table(*numbers))
    (folder / "cache-1234.arrow").write_bytes(b"of a map, no data")
    (folder / "state.json").write_text("{}")
    (folder / "dataset_info.json").write_text("{}")


def test_a_folder_as_the_hub_lays_it_out(workdir):
    laid_out(workdir / "copy")
    made = source(folder="copy", files="data/train-*.parquet")
    assert news(LINE, made)
    batches = sync(LINE, made, TEXT)
    assert len(batches) == 2
    assert sorted(taken(), key=str) == sorted(rows(1, 2, 3, 4, 5), key=str)
    assert not news(LINE, made)
    (workdir / "copy").rename(workdir / "moved")
    assert sync(LINE, source(folder="moved", files="data/train-*.parquet"), TEXT) == []


def test_a_folder_of_save_to_disk(workdir):
    saved_to_disk(workdir / "copy/train", 1, 2)
    saved_to_disk(workdir / "copy/test", 3)
    (workdir / "copy/dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    sync(LINE, source(folder="copy", files="train/*"), TEXT)
    assert taken() == rows(1, 2)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"folder": "none"}, "there is no folder none"),
        ({"folder": "copy", "files": "*.json"}, r"no file to read is named '\*.json'. There are: README.md, data/"),
        ({"folder": "copy", "columns": {"text": "texts"}}, r"no column 'texts' \(did you mean 'text'\?\). It has text"),
        ({"folder": "bare"}, r"never run.* refs/convert/parquet"),
        ({"folder": "damaged"}, "is damaged or none of its kind"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(workdir, block, message):
    laid_out(workdir / "copy")
    for name, file in (("bare", "loader.py"), ("damaged", "a.parquet")):
        (workdir / name).mkdir()
        (workdir / name / file).write_text("x" * 100)
    with pytest.raises(SourceError, match=message):
        sync(LINE, source(**block), TEXT)
    assert taken() == []


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({}, "needs either `dataset`"),
        ({"dataset": "a/b", "folder": "c"}, "needs either `dataset`"),
        ({"folder": "c", "revision": SHA}, "has no `revision`"),
        ({"dataset": "https://hub/a/b"}, "dataset"),
        ({"dataset": "a/b", "trust_remote_code": True}, "unknown key"),
    ],
)
def test_settings_that_are_wrong(block, message):
    with pytest.raises(SettingsError, match=message):
        source(**block)


class Hub:
    """What of the hub's API a download needs, for one dataset at two revisions."""

    def __init__(self, folder):
        self.asked, self.down = [], False
        self.revisions = {SHA: sorted(path for path in folder.rglob("*") if path.is_file())}
        self.revisions[LATER] = self.revisions[SHA]
        self.folder = folder
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def tree(self):
        return [
            {
                "type": "file", "path": path.relative_to(self.folder).as_posix(), "size": path.stat().st_size,
                "oid": hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest(),
            } | ({"lfs": {"oid": hashlib.sha256(path.read_bytes()).hexdigest(), "size": path.stat().st_size,
                          "pointerSize": 130}} if path.suffix == ".parquet" else {})
            for path in sorted(self.folder.rglob("*")) if path.is_file()
        ]  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        hub, path = self.hub, unquote(urlsplit(self.path).path)
        hub.asked.append(f"{self.command} {path}")
        if hub.down:
            return self.send(503, b"")
        parts = path.strip("/").split("/")
        if path.startswith("/api/datasets/made/set/tree/") and parts[5] in hub.revisions:
            return self.send(200, json.dumps(hub.tree()).encode())
        if path in ("/api/datasets/made/set", "/api/datasets/made/set/revision/main"):
            return self.send(200, json.dumps({"id": "made/set", "sha": SHA, "siblings": []}).encode())
        if path.startswith("/datasets/made/set/resolve/") and parts[4] in hub.revisions:
            content = (hub.folder / "/".join(parts[5:])).read_bytes()
            etag = hashlib.sha256(content).hexdigest()
            return self.send(200, content, {"X-Repo-Commit": parts[4], "ETag": f'"{etag}"'})
        return self.send(404, b"", {"X-Error-Code": "RepoNotFound"})

    def send(self, status, body, headers=None):
        self.send_response(status)
        for name, value in ({"Content-Length": len(body)} | (headers or {})).items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@pytest.fixture
def hub(workdir, monkeypatch):
    from huggingface_hub import constants

    made = Hub(laid_out(workdir / "hub"))
    monkeypatch.setattr(constants, "ENDPOINT", made.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", made.url + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(workdir / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_a_dataset_of_the_hub_at_its_pin(hub):
    made = source(dataset="made/set", revision=SHA, files="data/train-*")
    assert news(LINE, made)
    batches = sync(LINE, made, TEXT)
    assert sorted(taken(), key=str) == sorted(rows(1, 2, 3, 4, 5), key=str)
    told = inbox.provenance(batches[0])
    assert told["revision"] == SHA
    assert told["uri"].startswith(f"hf://datasets/made/set@{SHA}/data/train-0000")
    assert not any("loader.py" in asked for asked in hub.asked)
    hub.asked.clear()
    assert not news(LINE, made)
    assert sync(LINE, made, TEXT) == []
    assert hub.asked == []  # a revision never changes


def test_a_later_revision_brings_its_new_rows_alone(hub):
    sync(LINE, source(dataset="made/set", revision=SHA, files="data/train-*"), TEXT)
    pq.write_table(table(4, 5, 7), hub.folder / "data/train-00001-of-00002.parquet")
    later = source(dataset="made/set", revision=LATER, files="data/train-*")
    assert news(LINE, later)
    (path,) = sync(LINE, later, TEXT)
    assert pq.read_table(path)["text"].to_pylist() == ["text 7"]


@pytest.mark.parametrize("revision", [None, "main", SHA[:7]])
def test_a_dataset_without_a_pin_prints_it(hub, revision):
    made = source(dataset="made/set", revision=revision)
    assert news(LINE, made)
    found = SHA if revision != SHA[:7] else "did not tell"
    with pytest.raises(SettingsError, match=f"is not pinned: a pin is a commit.*{found}"):
        sync(LINE, made, TEXT)


def test_a_dataset_that_is_not_there(hub):
    with pytest.raises(SourceError, match=r"the hub has none, or not for you \(404\)"):
        sync(LINE, source(dataset="made/other", revision=SHA), TEXT)


def test_a_hub_that_does_not_answer(hub):
    hub.down = True
    with pytest.raises(SourceError, match=r"the hub cannot be reached .* needs no hub"):
        sync(LINE, source(dataset="made/set", revision=SHA), TEXT)


def test_offline(hub, monkeypatch):
    from huggingface_hub import constants

    made = source(dataset="made/set", revision=SHA, files="data/test-*")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(SourceError, match="HF_HUB_OFFLINE is set"):
        sync(LINE, made, TEXT)
    assert hub.asked == []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    sync(LINE, made, TEXT)
    Path(*inbox.batches(LINE)).unlink()
    hub.asked.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    sync(LINE, made, TEXT)
    assert taken() == rows(6)
    assert hub.asked == []
