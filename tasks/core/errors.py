"""Errors that are the user's to mend. Each message says what was given, what is allowed and what to do next."""

from typing import ClassVar


class TidegateError(Exception):
    """Base of every error that is shown as a message instead of a traceback."""

    exit_code: ClassVar[int] = 1


class SettingsError(TidegateError):
    """params.yaml or the command's arguments are wrong."""

    exit_code = 2


class SourceError(TidegateError):
    """A source of raw data is gone, changed or unreadable."""


class DataError(TidegateError):
    """A table does not hold what the stage needs."""


class StageError(TidegateError):
    """A stage could not run to its end."""


class BusyError(TidegateError):
    """Another run holds what this one needs."""


class RejectedError(TidegateError):
    """A gate said `reject`; what follows it must not run."""

    exit_code = 3
