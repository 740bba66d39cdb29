"""The schema: made step by step, by several at once, and never by a program that is older than it."""

import threading
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import column, inspect, select, table, update

from serving.log import migrations
from serving.log.database import connected, migrate, open_database, schema, writing
from serving.log.tables import SCHEMA, VERSIONS, feedback, metadata
from tasks.core.errors import SettingsError, TidegateError


def config(connection=None):
    made = Config()
    made.set_main_option("script_location", str(Path(migrations.__file__).parent))
    made.attributes["connection"] = connection
    return made


def test_the_newest_step_is_the_schema():
    assert ScriptDirectory.from_config(config()).get_current_head() == SCHEMA


def test_the_steps_make_the_tables_as_they_stand(engine):
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSIONS})
        assert compare_metadata(context, metadata) == []


def test_from_the_first_schema_with_its_rows(url):
    engine = open_database(url)
    with writing(engine).begin() as connection:
        command.upgrade(config(connection), "0001")
        row = {"time": 1, "request_id": "r", "position": 0, "line": "a", "label": "b", "source": "c"}
        connection.execute(feedback.insert(), row)
    migrate(engine)
    with engine.connect() as connection:
        assert schema(connection) == SCHEMA
        assert connection.scalars(select(feedback.c.request_id)).all() == ["r"]
        assert set(inspect(connection).get_table_names()) == {*metadata.tables, VERSIONS}
    engine.dispose()


def test_several_at_once(url):
    engines = [open_database(url) for _ in range(4)]
    errors = []

    def run(engine):
        try:
            migrate(engine)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=[engine]) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    with engines[0].connect() as connection:
        assert connection.scalars(select(column("version_num")).select_from(table(VERSIONS))).all() == [SCHEMA]
    for engine in engines:
        engine.dispose()


def test_a_newer_schema_is_refused(engine, url):
    with engine.begin() as connection:
        connection.execute(update(table(VERSIONS, column("version_num"))).values(version_num="9999"))
    with pytest.raises(TidegateError, match=r"has schema 9999; this program knows up to 0004\. Update Tidegate"):
        migrate(engine)


@pytest.mark.parametrize(
    ("given", "said"),
    [("mysql://a/b", "in sqlite or postgresql, not in mysql"), ("nothing", "needs a URL")],
)
def test_other_urls(given, said):
    with pytest.raises(SettingsError, match=said):
        open_database(given)


def test_an_error_shows_no_password(workdir):
    url = "postgresql://me:secret@127.0.0.1:1/log"
    with pytest.raises(TidegateError, match="cannot be used") as told, connected(url):
        pass
    assert "secret" not in str(told.value)
