"""The database of the prediction log: opened, and brought to the schema of this program."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serving.log.tables import SCHEMA, VERSIONS
from tasks.core.errors import SettingsError, TidegateError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

log = logging.getLogger("tidegate")

BUSY_MS = 10_000
"""How long SQLite waits for another writer."""
CONNECT_SECONDS = 5
_LOCK = 7421346  # names our advisory lock in PostgreSQL


def open_database(url: str) -> "Engine":
    """An engine for sqlite:///FILE or postgresql://...; nothing is connected yet.

    Raises SettingsError for other databases, and where the driver is not installed.
    """
    from sqlalchemy import create_engine, event
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except ArgumentError:
        raise SettingsError("The prediction log needs a URL: sqlite:///FILE or postgresql://HOST/NAME.") from None
    match parsed.get_backend_name():
        case "sqlite":
            if parsed.database:
                Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            engine = create_engine(parsed, connect_args={"timeout": BUSY_MS / 1000})
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        case "postgresql":
            try:
                return create_engine(
                    parsed.set(drivername="postgresql+psycopg"),
                    connect_args={"connect_timeout": CONNECT_SECONDS},
                    pool_pre_ping=True,
                )
            except ImportError:
                raise SettingsError("PostgreSQL needs a driver: pip install 'tidegate[postgres]'.") from None
        case other:
            raise SettingsError(f"The prediction log is kept in sqlite or postgresql, not in {other}.")


def migrate(engine: "Engine") -> None:
    """Bring the tables to this program's schema. Several processes may do so at once.

    Raises TidegateError where a newer program has changed them: this one would write wrong rows.
    """
    with engine.connect() as connection:
        found = schema(connection)
    if found != SCHEMA:
        refuse_newer(found, engine)
        with writing(engine).begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            if schema(connection) != SCHEMA:
                _upgrade(connection)


def schema(connection: "Connection") -> str | None:
    """The revision that the tables are at; None where there are none yet."""
    from sqlalchemy import inspect

    if not inspect(connection).has_table(VERSIONS):
        return None
    version: str | None = connection.exec_driver_sql(f"SELECT version_num FROM {VERSIONS}").scalar()  # noqa: S608
    return version


def refuse_newer(found: str | None, engine: "Engine") -> None:
    """Raise TidegateError where the tables are newer than this program."""
    if found is not None and found > SCHEMA:
        raise TidegateError(
            f"The prediction log {engine.url!r} has schema {found}; this program knows up to {SCHEMA}. Update Tidegate."
        )


def writing(engine: "Engine") -> "Engine":
    """The same engine, whose transactions take SQLite's write lock at once instead of failing half-way for it."""
    return engine.execution_options(writes=True)


@contextmanager
def connected(url: str) -> Iterator["Engine"]:
    """A database at this program's schema, for a command. Raises TidegateError where it cannot be reached or used."""
    from sqlalchemy.exc import DBAPIError

    engine = open_database(url)
    try:
        migrate(engine)
        yield engine
    except DBAPIError as error:
        what = str(error.orig).strip().partition("\n")[0]
        raise TidegateError(
            f"The prediction log {engine.url!r} cannot be used: {what}. Try again when it can."
        ) from None
    finally:
        engine.dispose()


def gone(error: BaseException) -> bool:
    """Whether an error means that the database cannot be reached now, and may be later."""
    from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, TimeoutError

    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    return lost or isinstance(error, OperationalError | InterfaceError | TimeoutError | OSError)


def _upgrade(connection: "Connection") -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    log.info("The prediction log is at schema %s.", SCHEMA)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where SQLAlchemy says, those of migrations too
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "secure_delete=ON"):  # what is deleted is overwritten
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: "Connection") -> None:
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
