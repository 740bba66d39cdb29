"""Errors that are the user's to mend. Each message says what was given, what is allowed and what to do next."""

import errno
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


def disk_full(error: BaseException) -> TidegateError | None:
    """The message for an error that means a full disk, None for any other error.

    Libraries that write from Rust or C++ (safetensors, onnx) tell it in words alone.
    """
    told = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
    if not told and "No space left on device" not in str(error):
        return None
    file = getattr(error, "filename", None)
    where = f" ({file})" if file else ""
    return TidegateError(
        f"No space is left on the disk{where}. Free some (`tidegate doctor` says how much there is) and run again; "
        "nothing half-written was recorded."
    )
