"""A database of ours: where it is, and what is said of one that cannot be used."""

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from tasks.core.errors import TidegateError
from tasks.database import Database

METADATA = sa.MetaData()
sa.Table("things", METADATA, sa.Column("name", sa.String, primary_key=True))
HERE = Database("TIDEGATE_THINGS_URL", "sqlite:///kept/things.db", "things", METADATA, private=True)


def test_a_file_of_sqlite_is_made_for_its_owner_alone(workdir, monkeypatch):
    monkeypatch.delenv("TIDEGATE_THINGS_URL", raising=False)
    with HERE.opened() as engine:
        assert sa.inspect(engine).get_table_names() == ["things"]
    assert HERE.file().stat().st_mode & 0o77 == 0
    monkeypatch.setenv("TIDEGATE_THINGS_URL", "postgresql://ann:secret@nowhere/things")
    assert HERE.file() is None


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_a_place_that_cannot_be_written_is_named(workdir, monkeypatch):
    monkeypatch.setenv("TIDEGATE_THINGS_URL", "sqlite:////proc/none/things.db")
    with pytest.raises(
        TidegateError, match=r"The things cannot be kept in /proc/none/things\.db: .*TIDEGATE_THINGS_URL"
    ):
        HERE.opened().__enter__()


def test_what_a_database_refuses_is_told_without_a_traceback(workdir, monkeypatch):
    (workdir / "kept").mkdir()
    (workdir / "kept" / "things.db").write_text("no database, though long enough for a header of one")
    monkeypatch.delenv("TIDEGATE_THINGS_URL", raising=False)
    with pytest.raises(TidegateError, match=r"The things in sqlite:///kept/things\.db cannot be kept or read"):
        HERE.opened().__enter__()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_many_open_a_new_database_at_once(kind, request, workdir, monkeypatch):
    url = request.getfixturevalue("postgres").url() if kind == "postgresql" else "sqlite:///new/things.db"
    monkeypatch.setenv("TIDEGATE_THINGS_URL", url)

    def tables(_):
        with HERE.opened() as engine:
            return sa.inspect(engine).get_table_names()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(tables, range(8))) == [["things"]] * 8
