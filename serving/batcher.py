"""Dynamic batching: texts of several requests are computed together when they wait, and at once when they need not.

Workers are threads: ONNX Runtime and the tokenizer let go of the interpreter while they compute. There is no window in
which an idle worker waits for company. What arrives while all are busy is gathered by the next one that is free.
"""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from pydantic import Field

from serving.errors import Expired, Failed, NotReady, QueueFull
from tasks.core.errors import DataError
from tasks.core.settings import Settings

log = logging.getLogger("tidegate")

QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container: microseconds of all cores in a period
SOONEST = 0.1  # seconds; to ask again sooner than this is of no use
SMOOTHING = 0.1  # weight of the newest batch in the measured rate: some twenty batches are remembered

Row = TypeVar("Row")
RowOut = TypeVar("RowOut", covariant=True)


class BatchSettings(Settings):
    """How the texts of a line are gathered and computed. Each line has workers and a queue of its own."""

    workers: int | None = Field(
        None, ge=1, le=256, description="batches computed side by side; default: one per `threads` of the cores"
    )
    threads: int = Field(
        1, ge=1, le=256,
        description="of ONNX Runtime per batch; two workers of one thread gave 2 to 3 times the requests of one of two",
    )  # fmt: skip
    max_texts: int = Field(64, ge=1, le=4096, description="texts computed together; more gain nothing on a CPU")
    max_tokens: int = Field(
        1024, ge=1, description="tokens computed together, about; bounds how long a text waits for those beside it"
    )
    queue_texts: int = Field(
        1024, ge=1, description="texts that may wait, some seconds of work for two cores; more are turned away"
    )

    @property
    def side_by_side(self) -> int:
        """Workers, counted by the cores that this process may use where none are given."""
        return self.workers or max(1, cores() // self.threads)


def cores() -> int:
    """Cores that this process may use: those it is bound to, and no more than a container's share comes to."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, period = QUOTA.read_text().split() if QUOTA.exists() else ("max", "")
    return bound if quota == "max" else max(1, min(bound, -(-int(quota) // int(period))))


class Engine(Protocol[RowOut]):
    """What computes: one result per text, in their order."""

    def compute(self, texts: Sequence[str]) -> Sequence[RowOut]:
        """The results for texts given together."""

    def cost(self, text: str) -> int:
        """Tokens to compute, about."""


@dataclass(eq=False)
class Request(Generic[Row]):
    """Texts that want one answer."""

    engine: Engine[Row]
    texts: Sequence[str]
    deadline: float
    """time.monotonic() after which nobody wants the answer any more."""
    finish: Callable[[list[Row]], Any]
    """Makes the answer out of the results; called by the worker, before anyone sees the answer."""
    failed: Callable[[Exception], bool] = lambda _error: False
    """Told why there is no answer; True when it has seen to the future itself."""
    future: Future[Any] = field(default_factory=Future)
    """Can be cancelled until the answer stands."""
    later: bool = False
    """Only computed when nothing else waits."""
    rows: list[Any] = field(init=False)
    taken: int = field(default=0, init=False)
    """Texts that workers have taken so far."""
    left: int = field(init=False)
    """Texts without a result."""
    over: bool = field(default=False, init=False)
    """Failed or expired: what is left of it is not computed."""

    def __post_init__(self) -> None:
        if not self.texts:
            raise DataError("A request needs at least one text.")
        self.rows, self.left = [None] * len(self.texts), len(self.texts)


@dataclass(frozen=True)
class _Part:
    """Some texts of a request, for one batch."""

    request: Request[Any]
    start: int
    stop: int

    @property
    def texts(self) -> Sequence[str]:
        return self.request.texts[self.start : self.stop]


class Batcher:
    """Workers and the queue before them.

    A batch holds texts of one engine. A request with more texts than a batch goes to the end of the queue with what is
    left of it, so that a small one behind it waits for a batch and not for all of it.
    """

    def __init__(self, settings: BatchSettings, name: str, observe: Callable[[int], Any] = lambda _texts: None) -> None:
        self.settings = settings
        self.waiting = 0
        """Texts in the queue, those for later left out."""
        self._observe = observe
        self._queues: dict[tuple[bool, Engine[Any]], deque[tuple[int, Request[Any]]]] = {}
        self._turn = count()
        self._later = 0
        self._rate = 0.0
        self._closed = False
        self._changed = threading.Condition()
        self._workers = [
            threading.Thread(target=self._work, name=f"{name}-{n}", daemon=True) for n in range(settings.side_by_side)
        ]
        for worker in self._workers:
            worker.start()

    def submit(self, request: Request[Any]) -> None:
        """Queue a request; its future gets the answer, or Expired, Failed, NotReady.

        Raises QueueFull, or NotReady after `close`. A request larger than the whole queue is taken when nothing waits.
        """
        texts = len(request.texts)
        with self._changed:
            if self._closed:
                raise NotReady("The service is about to stop. Ask again in a moment.")
            if request.later:
                if self._later and self._later + texts > self.settings.queue_texts:
                    raise QueueFull(self.waiting, self._retry_after())
                self._later += texts
            else:
                if self.waiting and self.waiting + texts > self.settings.queue_texts:
                    raise QueueFull(self.waiting, self._retry_after())
                self.waiting += texts
            self._queue(request)
            self._changed.notify()

    def close(self, drain: bool = True, timeout: float | None = None) -> bool:
        """Take no more; compute what is queued, or without `drain` only what has begun. True when all workers ended.

        What is not computed within `timeout` seconds gets NotReady.
        """
        ends = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if not drain:
            self._give_up()
        for worker in self._workers:
            worker.join(None if ends is None else max(0.0, ends - time.monotonic()))
        self._give_up()
        return not any(worker.is_alive() for worker in self._workers)

    def _retry_after(self) -> float:
        return max(SOONEST, self.waiting / self._rate) if self._rate else 1.0

    def _queue(self, request: Request[Any]) -> None:
        self._queues.setdefault((request.later, request.engine), deque()).append((next(self._turn), request))

    def _give_up(self) -> None:
        with self._changed:
            requests = {id(request): request for queue in self._queues.values() for _, request in queue}
            self._queues.clear()
            self.waiting = self._later = 0
        for request in requests.values():
            self._fail(request, NotReady("The service stopped before it came to this request. Ask again."))

    def _work(self) -> None:
        while self._step():
            pass  # whatever a step held is let go before the wait for the next: an old release must not be kept

    def _step(self) -> bool:
        """Compute one batch; False when there will be none any more."""
        taken = self._take()
        if taken is None:
            return False
        parts, expired = taken
        for request in expired:
            self._fail(request, Expired())
        if parts:
            started = time.monotonic()
            self._compute(parts)
            self._measure(sum(part.stop - part.start for part in parts), time.monotonic() - started)
        return True

    def _measure(self, texts: int, seconds: float) -> None:
        self._observe(texts)
        rate = len(self._workers) * texts / max(seconds, 1e-6)
        self._rate += (rate - self._rate) * (SMOOTHING if self._rate else 1)

    def _take(self) -> tuple[list[_Part], list[Request[Any]]] | None:
        """Wait for work; the parts of the next batch, and the requests found to be expired. None after `close`."""
        with self._changed:
            while not self._queues:
                if self._closed:
                    return None
                self._changed.wait()
            # asked for now before later, then whoever is at the head of its queue for the longest time
            key = min(self._queues, key=lambda key: (key[0], self._queues[key][0][0]))
            waiting = self._later if key[0] else self.waiting
            # what waits is shared out: a worker that took it all would leave the others idle beside long batches
            taken = self._gather(self._queues[key], -(-waiting // self.settings.side_by_side))
            if not self._queues[key]:
                del self._queues[key]
            if self._queues:
                self._changed.notify()
            return taken

    def _gather(self, queue: deque[tuple[int, Request[Any]]], share: int) -> tuple[list[_Part], list[Request[Any]]]:
        texts, tokens = min(self.settings.max_texts, max(1, share)), self.settings.max_tokens
        parts: list[_Part] = []
        expired: list[Request[Any]] = []
        for _ in range(len(queue)):
            _, request = queue[0]
            if self._unwanted(request):
                queue.popleft()
                self._count(request, len(request.texts) - request.taken)
                if not request.over and not request.future.cancelled():
                    expired.append(request)
                request.over = True
                continue
            stop, cost = self._reach(request, texts, tokens, first=not parts)
            if parts and stop == request.taken:
                break
            queue.popleft()
            part = _Part(request, request.taken, stop)
            parts.append(part)
            self._count(request, stop - part.start)
            request.taken = stop
            if stop < len(request.texts):
                self._queue(request)
            texts, tokens = texts - (stop - part.start), tokens - cost
            if texts <= 0 or tokens <= 0:
                break
        return parts, expired

    def _unwanted(self, request: Request[Any]) -> bool:
        return request.over or request.future.cancelled() or time.monotonic() > request.deadline

    def _reach(self, request: Request[Any], texts: int, tokens: int, first: bool) -> tuple[int, int]:
        """How far into the request's texts a batch with so much room goes, and what they cost.

        One at the least for the `first` request of a batch.
        """
        stop, cost = request.taken, 0
        while stop < len(request.texts) and stop - request.taken < texts:
            more = request.engine.cost(request.texts[stop])
            if cost + more > tokens and not (first and stop == request.taken):
                break
            stop, cost = stop + 1, cost + more
        return stop, cost

    def _count(self, request: Request[Any], texts: int) -> None:
        if request.later:
            self._later -= texts
        else:
            self.waiting -= texts

    def _compute(self, parts: Sequence[_Part]) -> None:
        """Compute a batch. Where that fails, each request by itself: only those that fail alone have failed."""
        texts = [text for part in parts for text in part.texts]
        try:
            rows = parts[0].request.engine.compute(texts)
            if len(rows) != len(texts):
                raise RuntimeError(f"{len(rows)} results for {len(texts)} texts")
        except Exception as error:  # whatever the model raises, the service lives on
            if len(parts) > 1:
                for part in parts:
                    self._compute([part])
                return
            log.error("a request failed (%s)", _short(error))
            self._fail(parts[0].request, Failed(f"The model failed on this request ({type(error).__name__})."))
            return
        start = 0
        for part in parts:
            size = part.stop - part.start
            self._fill(part, rows[start : start + size])
            start += size

    def _fill(self, part: _Part, rows: Sequence[Any]) -> None:
        request = part.request
        with self._changed:
            request.rows[part.start : part.stop] = rows
            request.left -= len(rows)
            whole = not request.left
        if whole and request.future.set_running_or_notify_cancel():
            try:
                answer = request.finish(request.rows)
            except Exception as error:
                log.exception("an answer could not be finished")
                request.future.set_exception(error)
            else:
                request.future.set_result(answer)

    def _fail(self, request: Request[Any], error: Exception) -> None:
        with self._changed:
            if request.over and not isinstance(error, Expired):
                return  # another part of it failed before
            request.over = True
        if not request.failed(error) and request.future.set_running_or_notify_cancel():
            request.future.set_exception(error)


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"
