"""Fetching pinned packages through pip, from a folder of files instead of an index."""

import io
import os
import tarfile
import zipfile

import pytest

from tasks import packages
from tasks.core.errors import SettingsError, SourceError
from tasks.core.files import sha256
from tasks.packages import fetch

SETUP = "import pathlib, setuptools; pathlib.Path({marker!r}).touch(); setuptools.setup(name='made', version='1.0')"


def wheel(folder):
    path = folder / "made-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("made/data.txt", "rows")
        archive.writestr("made-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: made\nVersion: 1.0\n")
        archive.writestr("made-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("made-1.0.dist-info/RECORD", "")
    return path


def sdist(folder, marker):
    path = folder / "made-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        files = {
            "setup.py": SETUP.format(marker=str(marker)),
            "PKG-INFO": "Metadata-Version: 2.1\nName: made\nVersion: 1.0\n",
        }
        for name, text in files.items():
            info = tarfile.TarInfo(f"made-1.0/{name}")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return path


@pytest.fixture
def index(workdir, monkeypatch):
    """A folder that is all pip knows."""
    folder = workdir / "links"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setattr(packages, "FIRST_WAIT", 0.0)
    return folder


def test_fetched_once_checked_twice(index):
    pin = sha256(wheel(index))
    path = fetch("made==1.0", pin)
    assert path.parts[-3:] == ("downloads", pin, "made-1.0-py3-none-any.whl")
    (index / path.name).unlink()
    assert fetch("made==1.0", pin) == path


def test_a_damaged_copy_is_fetched_anew(index):
    pin = sha256(wheel(index))
    path = fetch("made==1.0", pin)
    path.write_bytes(path.read_bytes()[:100])
    assert sha256(fetch("made==1.0", pin)) == pin


def test_another_sha256_is_refused_before_anything_runs(index):
    marker = index / "ran"
    pin = sha256(sdist(index, marker))
    with pytest.raises(SourceError, match=f"wanted {'1' * 64}, got {pin}"):
        fetch("made==1.0", "1" * 64)
    assert not marker.exists()
    assert not [path for path in packages.DOWNLOADS.rglob("*") if path.is_file()]


def test_a_source_archive_is_taken_by_its_pin_beside_a_wheel(index):
    pin = sha256(sdist(index, index / "ran"))
    wheel(index)
    assert fetch("made==1.0", pin).name == "made-1.0.tar.gz"


def test_without_a_pin_the_error_prints_it(index):
    marker = index / "ran"
    source, built = sha256(sdist(index, marker)), sha256(wheel(index))
    with pytest.raises(SettingsError, match=f"source archive: made==1.0 with sha256 {source}; wheel: .* {built}"):
        fetch("made==1.0", None)
    assert not marker.exists()


def test_no_version_and_odd_requirements_are_refused(index):
    with pytest.raises(SettingsError, match="NAME==VERSION"):
        fetch("made", "1" * 64)
    for odd in ("made>=1", "made @ https://example.org/x.whl", "--no-deps", "made==1.0 --hash=sha256:0"):
        with pytest.raises(SettingsError, match="allowed is NAME==VERSION"):
            fetch(odd, "1" * 64)
    with pytest.raises(SettingsError, match="64 hexadecimal"):
        fetch("made==1.0", "abc")


def test_what_the_index_has_not(index):
    wheel(index)
    with pytest.raises(SourceError, match=r"no made==2\.0 that fits\. It has 1.0"):
        fetch("made==2.0", "1" * 64)
    with pytest.raises(SourceError, match=r"has no other==2\.0"):
        fetch("other==2.0", "1" * 64)


def test_no_network_is_tried_again_and_then_said(index, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setattr(packages, "TRIES", 2)
    calls, real = [], packages._pip
    monkeypatch.setattr(packages, "_pip", lambda *arguments: calls.append(arguments) or real(*arguments))
    with pytest.raises(SourceError, match="could not be fetched: is there a network"):
        fetch("made==1.0", "1" * 64)
    assert len(calls) == 2
