"""Unpacking: nested members, and names, links and devices that are refused."""

import io
import tarfile
import zipfile

import pytest

from tasks.archives import extract
from tasks.core.errors import SourceError


def tar(path, members, kind=tarfile.REGTYPE, link=""):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, link, len(content) if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(content))
    return path


def nested(workdir):
    inner = tar(workdir / "inner.tar.gz", {"data/rows.txt": b"1\tone", "data/more.txt": b"2"})
    return tar(workdir / "pkg-1.0.tar.gz", {"pkg-1.0/res/inner.tar.gz": inner.read_bytes(), "pkg-1.0/a.txt": b"a"})


def test_a_member_of_an_archive_in_an_archive(workdir):
    outer = nested(workdir)
    path = extract(outer, "res/inner.tar.gz!data/rows.txt", workdir / "out")
    assert path.read_bytes() == b"1\tone"
    assert extract(outer, "pkg-1.0/a.txt", workdir / "out").read_bytes() == b"a"
    assert not list((workdir / ".tidegate/scratch").iterdir())


def test_a_folder_of_a_wheel(workdir):
    wheel = workdir / "m-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("m/model/config.json", "{}")
        archive.writestr("m/model/deep/w.bin", "w")
        archive.writestr("m/models.py", "")
    folder = extract(wheel, "m/model", workdir / "out")
    assert sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()) == [
        "config.json",
        "deep/w.bin",
    ]


def test_no_such_member_names_those_there_are(workdir):
    with pytest.raises(SourceError, match=r"holds no 'res/x\.txt'. It holds .*a\.txt"):
        extract(nested(workdir), "res/x.txt", workdir / "out")


@pytest.mark.parametrize("member", ["../evil", "d/../../evil", "", "/"])
def test_no_way_out_by_the_wanted_name(workdir, member):
    archive = tar(workdir / "e.tar.gz", {"../evil": b"x", "d/../../evil": b"y", "d/a": b""})
    with pytest.raises(SourceError, match="holds no"):
        extract(archive, member, workdir / "out")


@pytest.mark.parametrize("name", ["d/../../evil", "d//../evil", "d/a\\..\\evil", "d/C:evil"])
def test_no_way_out_by_a_name_in_a_folder(workdir, name):
    archive = workdir / "e.zip"
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("d/a", "a")
        made.writestr(name, "x")
    with pytest.raises(SourceError, match="leads out of its folder"):
        extract(archive, "d", workdir / "out")
    assert not list(workdir.rglob("*evil"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(workdir, kind):
    archive = tar(workdir / "e.tar.gz", {"d/a": b""}, kind, link="/etc/passwd")
    for member in ("d", "d/a"):
        with pytest.raises(SourceError, match="link or a device"):
            extract(archive, member, workdir / "out")


def test_a_link_in_a_zip_is_refused(workdir):
    archive = workdir / "e.zip"
    with zipfile.ZipFile(archive, "w") as made:
        info = zipfile.ZipInfo("d/a")
        info.external_attr = 0o120777 << 16
        made.writestr(info, "/etc/passwd")
    with pytest.raises(SourceError, match="link or a device"):
        extract(archive, "d", workdir / "out")


@pytest.mark.parametrize("part", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("name", ["a.tar.gz", "a.zip"])
def test_a_truncated_archive_is_said_to_be_one(workdir, name, part):
    whole = workdir / name
    content = bytes(range(256)) * 400
    if name.endswith("zip"):
        with zipfile.ZipFile(whole, "w") as made:
            made.writestr("d/a", content)
    else:
        tar(whole, {"d/a": content})
    whole.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * part)])
    with pytest.raises(SourceError, match=rf"{name} cannot be unpacked, it is truncated or damaged"):
        extract(whole, "d/a", workdir / "out")
