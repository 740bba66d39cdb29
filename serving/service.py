"""What both protocols share: a line for a caller, checked texts, an answer in time."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from serving.edge import ClientGone
from serving.errors import Expired
from serving.hub import Hub, Reply, ServedLine
from serving.log.record import Recorder
from serving.metrics import Metrics
from serving.problems import SHOWN, Refused, invalid
from serving.security import Access
from serving.settings import LimitSettings, ServingSettings
from serving.visit import visit


@dataclass(frozen=True)
class Service:
    """All that the routes need."""

    hub: Hub
    settings: ServingSettings
    metrics: Metrics
    recorder: Recorder
    access: Access

    def line(self, request: Request, name: str) -> ServedLine:
        """A line that the caller may use, at their rate. Raises Refused, UnknownLine."""
        here = visit(request.scope)
        self.access.use(here.caller, name)
        found = self.hub.line(name)
        here.line = found.name
        return found

    async def answer(
        self, request: Request, line: ServedLine, texts: Sequence[str], deadline_ms: float | None = None
    ) -> Reply:
        """What the line says of the texts. Raises Refused, or what the hub raises where it takes no more."""
        check_texts(texts, self.settings.limits)
        deadline = self.deadline(deadline_ms)
        return await settled(self.submit(request, line, texts, deadline), request, deadline)

    def deadline(self, asked_ms: float | None) -> float:
        """When the answer is of no use any more, a time.monotonic(). Raises Refused beyond what is allowed."""
        return time.monotonic() + allowed_ms(asked_ms, self.settings.limits) / 1000

    def submit(
        self, request: Request, line: ServedLine, texts: Sequence[str], deadline: float, **more: Any
    ) -> "Future[Reply]":
        """Ask a line for a caller, `more` as ServedLine.submit has it.

        Raises Refused on a text that it cannot read, or what the line raises.
        """
        check_readable(line, texts)
        here = visit(request.scope)
        who = here.caller
        return line.submit(texts, request_id=here.request_id, source=who.name, deadline=deadline, key=who.key, **more)


def allowed_ms(asked: float | None, limits: LimitSettings) -> float:
    """Milliseconds until the answer is of no use. Raises Refused beyond what the service allows."""
    if asked is None:
        return limits.deadline_ms
    if asked > limits.deadline_max_ms:
        raise invalid("deadline_ms", f"at most {limits.deadline_max_ms} is allowed")
    return asked


def check_texts(texts: Sequence[str], limits: LimitSettings) -> None:
    """Raises Refused where there are none or too many, or where one is empty or too long: the first such are named."""
    if not texts:
        raise invalid("texts", "at least one text is needed")
    if len(texts) > limits.texts:
        raise invalid("texts", f"{len(texts):,} were given; at most {limits.texts:,} are allowed in a request")
    faults = [
        {"where": f"texts.{n}", "message": fault} for n, text in enumerate(texts) if (fault := _fault(text, limits))
    ]
    if faults:
        more = f" ({len(faults)} such texts)" if len(faults) > 1 else ""
        first = faults[0]
        raise Refused(422, "invalid", f"{first['where']}: {first['message']}{more}", details=faults[:SHOWN])


def check_readable(line: ServedLine, texts: Sequence[str]) -> None:
    """Raises Refused on the first text that is none that the line's kind reads: one such would fail its batch."""
    readable = line.readable
    for n, text in enumerate(texts):
        if not readable(text):
            raise invalid(
                f"texts.{n}",
                f"the line {line.name} reads histories, as JSON, the oldest first: a list of [item, rating], such as "
                f'[["50",5],["172",null]]. Better send events to /v1/lines/{line.name}/recommend.',
            )


def check_text(text: str, limits: LimitSettings) -> None:
    """Raises Refused where a request's only text is empty or too long."""
    if fault := _fault(text, limits):
        raise invalid("text", fault)


def _fault(text: str, limits: LimitSettings) -> str | None:
    if len(text) > limits.characters:
        return f"has {len(text):,} characters; at most {limits.characters:,} are allowed"
    return None if text and not text.isspace() else "is empty: there is nothing to label"


async def settled(future: "Future[Reply]", request: Request, deadline: float) -> Reply:
    """The hub's answer; Expired past the deadline, ClientGone when the caller hangs up. Either way nobody computes it.

    The hub's future is cancelled with the wait.
    """
    waiting = asyncio.ensure_future(asyncio.wrap_future(future))
    leaving = asyncio.ensure_future(_hangs_up(request))
    try:
        await asyncio.wait(
            (waiting, leaving), timeout=deadline - time.monotonic(), return_when=asyncio.FIRST_COMPLETED
        )  # fmt: skip
        if waiting.done():
            return waiting.result()
        raise ClientGone if leaving.done() else Expired
    finally:
        waiting.cancel()
        leaving.cancel()


async def _hangs_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def rounded(probabilities: Any) -> list[float]:
    """Probabilities for JSON: six digits say all that a float32 knows of a probability, in half the bytes."""
    found: list[float] = probabilities.astype("float64").round(6).tolist()
    return found
