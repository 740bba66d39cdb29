"""A connection to a database that only reads, its errors told without the address: that may hold a password."""

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tasks.core.errors import SourceError

if TYPE_CHECKING:
    import sqlalchemy as sa

CONNECT = 10  # seconds to wait for a connection


class GoneError(SourceError):
    """The database went away or does not answer; a later try may succeed."""


def parsed(given: str, where: str) -> "sa.URL":
    """A URL of SQLAlchemy, with the driver that is installed with Tidegate. `where` says where it was given."""
    import sqlalchemy as sa

    try:
        url = sa.make_url(given)
    except (sa.exc.ArgumentError, ValueError):
        raise SourceError(f"{where} holds no address as postgresql://user:password@host/base.") from None
    return url.set(drivername="postgresql+psycopg") if url.drivername in ("postgresql", "postgres") else url


def address(url: "sa.URL") -> str:
    """Dialect, host and database of a URL."""
    return f"{url.get_backend_name()}://{url.host or ''}/{url.database or ''}"


@contextlib.contextmanager
def connected(url: "sa.URL", what: str, mend: str) -> Iterator["sa.Connection"]:
    """A connection that only reads and sees one state of the data.

    `what` begins every message; `mend` says what to correct where the database refuses. Raises GoneError where it does
    not answer, SourceError where it refuses or its driver is absent.
    """
    import sqlalchemy as sa

    postgres = url.get_backend_name() == "postgresql"
    try:
        engine = sa.create_engine(
            url,
            poolclass=sa.NullPool,
            hide_parameters=True,
            connect_args={"connect_timeout": CONNECT} if postgres else {},
        )
    except (ImportError, sa.exc.NoSuchModuleError):
        raise SourceError(
            f"No driver for {url.drivername} is installed. For PostgreSQL install `tidegate[postgres]`."
        ) from None
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True} if postgres else {}
    try:
        with engine.connect() as connection:
            yield connection.execution_options(**options)
    except sa.exc.SQLAlchemyError as error:
        raise _told(error, url, what, mend) from None
    finally:
        engine.dispose()


def _told(error: Any, url: "sa.URL", what: str, mend: str) -> SourceError:
    """The error without the address: the driver's first line may hold it."""
    raw = getattr(error, "orig", None) or error
    line = redacted((str(raw).strip().splitlines() or [""])[0], url)
    if _went_away(error):
        return GoneError(
            f"{what} went away or does not answer ({type(raw).__name__}: {line}). Nothing of it was taken beyond "
            "earlier batches; run sync again."
        )
    return SourceError(f"{what} refuses ({type(raw).__name__}: {line}). {mend}")


def _went_away(error: Any) -> bool:
    """Whether a later try may succeed: the connection broke, or was never made for another reason than a refusal."""
    raw = getattr(error, "orig", None)
    state = getattr(raw, "sqlstate", None) or ""
    if getattr(error, "connection_invalidated", False) or state[:2] in ("08", "53") or state[:3] == "57P":
        return True
    refused = ("authentication failed", "does not exist", "pg_hba.conf", "no such", "unable to open", "syntax")
    named = type(raw).__name__ in ("OperationalError", "InterfaceError") and not state
    return named and type(raw).__module__ != "sqlite3" and not any(word in str(raw) for word in refused)


def redacted(line: str, url: "sa.URL") -> str:
    """A driver's message without user, password and addresses."""
    for secret in filter(None, (url.password, url.username)):
        line = line.replace(str(secret), "***")
    return re.sub(r"\w+://\S+", "***", line)[:200]
