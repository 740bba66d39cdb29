"""What is asked of slow or absent things, so that the page never waits long for any of them."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from typing import Generic, TypeVar

T = TypeVar("T")


class Fresh(Generic[T]):
    """A value that is asked for again when it is old; meanwhile the last one is given, unless it is very old."""

    def __init__(
        self,
        pool: ThreadPoolExecutor,
        ask: Callable[[], T],
        until_known: T,
        seconds: float = 5.0,
        stale_seconds: float = 20.0,
    ) -> None:
        """`ask` raises nothing. `until_known` is given until it has answered once.

        A value is asked for again after `seconds`; one older than `stale_seconds` tells of another time, so that the
        next is waited for.
        """
        self.pool, self.ask, self.seconds, self.stale_seconds = pool, ask, seconds, stale_seconds
        self._value, self._asked = until_known, float("-inf")
        self._future: Future[tuple[float, T]] | None = None
        self._lock = threading.Lock()

    def value(self, patience: float = 2.0) -> T:
        """The newest value; waits, at most `patience` seconds, where there is none or only a stale one."""
        self._take(0)
        with self._lock:
            age = time.monotonic() - self._asked
            if self._future is None and age > self.seconds:
                self._future = self.pool.submit(self._timed)
        if age > self.stale_seconds:
            self._take(patience)
        return self._value

    def expire(self) -> None:
        """Ask again the next time, and wait for the answer: something was changed."""
        with self._lock:
            self._asked, self._future = float("-inf"), None

    def _timed(self) -> tuple[float, T]:
        asked = time.monotonic()
        return asked, self.ask()

    def _take(self, patience: float) -> None:
        """Take the answer that is under way, if it comes within `patience` seconds."""
        future = self._future
        if future is None:
            return
        try:
            asked, found = future.result(patience)
        except Late:
            return
        with self._lock:
            if self._future is future:
                self._value, self._asked, self._future = found, asked, None
