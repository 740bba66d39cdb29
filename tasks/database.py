"""Where a product keeps what it is told: a database that one variable of the environment names, else an SQLite file."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from tasks.core.errors import TidegateError
from tasks.sources.database import address, parsed

BUSY = 30  # seconds that SQLite waits for another writer


@dataclass(frozen=True)
class Database:
    """A database of ours, found anew with each use."""

    variable: str
    """The variable of the environment that holds its address."""
    default: str
    """The address where that is not set."""
    what: str
    """What is kept there, as messages say it."""
    metadata: sa.MetaData
    private: bool = False
    """Whether a new SQLite file is for its owner alone."""

    def url(self) -> sa.URL:
        """Where it is. Raises SourceError for an address that is none."""
        return parsed(os.environ.get(self.variable, "").strip() or self.default, self.variable)

    def file(self) -> Path | None:
        """The file of an SQLite database, whether or not it is there; None where another kind of database is used."""
        where = self.url()
        return Path(where.database) if where.get_backend_name() == "sqlite" and where.database else None

    @contextlib.contextmanager
    def opened(self) -> Iterator[sa.Engine]:
        """The database with its tables. Raises TidegateError where it cannot be used."""
        where, kept = self.url(), self.file()
        if kept is not None:
            self._made(kept)
        sqlite = where.get_backend_name() == "sqlite"
        engine = sa.create_engine(where, hide_parameters=True, connect_args={"timeout": BUSY} if sqlite else {})
        try:
            with self.plain_errors():
                self._tables(engine)
                yield engine
        finally:
            engine.dispose()

    def _tables(self, engine: sa.Engine) -> None:
        try:
            self.metadata.create_all(engine)
        except sa.exc.DBAPIError:  # another process made one between our look and our hand
            self.metadata.create_all(engine)

    def _made(self, kept: Path) -> None:
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            if self.private:
                kept.touch(0o600)
        except OSError as error:
            raise TidegateError(
                f"The {self.what} cannot be kept in {kept}: {error.strerror}. Let {self.variable} name another place."
            ) from None

    @contextlib.contextmanager
    def plain_errors(self) -> Iterator[None]:
        """What the database refuses is told without its address's password. Raises TidegateError."""
        try:
            yield
        except sa.exc.DBAPIError as error:
            said = str(error.orig).strip().partition("\n")[0]
            raise TidegateError(f"The {self.what} in {address(self.url())} cannot be kept or read: {said}.") from None
