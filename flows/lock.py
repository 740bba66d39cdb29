"""Locks between commands of one machine; they go with the process that holds them."""

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from tasks.core.errors import BusyError
from tasks.core.line import STATE


@contextmanager
def hold(name: str, busy: str) -> Iterator[None]:
    """Hold `.tidegate/locks/<name>.lock` for the block. Raises BusyError with `busy` where somebody else does."""
    path = STATE / "locks" / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path, timeout=0):
            yield
    except Timeout:
        raise BusyError(busy) from None
