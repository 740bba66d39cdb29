"""What is asked of slow or absent things, so that the page never waits long for any of them."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from typing import Generic, TypeVar

T = TypeVar("T")


class Fresh(Generic[T]):
    """A value that is asked for again when it is old; meanwhile the last one is given."""

    def __init__(self, pool: ThreadPoolExecutor, ask: Callable[[], T], until_known: T, seconds: float = 5.0) -> None:
        """`ask` raises nothing. `until_known` is given until it has answered once."""
        self.pool, self.ask, self.seconds = pool, ask, seconds
        self._value, self._known, self._asked = until_known, False, 0.0
        self._future: Future[T] | None = None
        self._lock = threading.Lock()

    def value(self, patience: float = 2.0) -> T:
        """The newest value; waits for the first one alone, and no longer than `patience` seconds for that."""
        with self._lock:
            if self._future is None and (not self._known or time.monotonic() - self._asked > self.seconds):
                self._future = self.pool.submit(self.ask)
            future, known = self._future, self._known
        if future is not None and (future.done() or not known):
            self._take(future, patience)
        return self._value

    def expire(self) -> None:
        """Ask again the next time, and wait for the answer: something was changed."""
        with self._lock:
            self._known, self._future = False, None

    def _take(self, future: "Future[T]", patience: float) -> None:
        try:
            found = future.result(patience)
        except Late:
            return
        with self._lock:
            if self._future is future:
                self._value, self._known, self._asked, self._future = found, True, time.monotonic(), None
