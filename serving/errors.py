"""Why a request is turned away: each says what to do next."""

from collections.abc import Iterable

from tasks.core.errors import TidegateError


class UnknownLine(TidegateError):
    """The service has no line of that name."""

    def __init__(self, line: str, known: Iterable[str]) -> None:
        super().__init__(f"There is no line {line[:80]!r} here. Lines: {', '.join(sorted(known)) or 'none yet'}.")


class NotReady(TidegateError):
    """The line has no release yet, or the service is about to stop. Ask again later, or ask another replica."""


class QueueFull(TidegateError):
    """More texts wait than the queue holds."""

    def __init__(self, waiting: int, retry_after: float) -> None:
        super().__init__(f"{waiting:,} texts wait already. Ask again in {retry_after:.1f} s.")
        self.retry_after = retry_after
        """Seconds until what waits now is computed, at the speed of late."""


class Expired(TidegateError):
    """The deadline of a request passed before it was computed, and so it was not."""

    def __init__(self) -> None:
        super().__init__("The request waited past its deadline and was not computed. Ask again, or allow more time.")


class Failed(TidegateError):
    """The model raised an error on this request. Others are not concerned."""
