"""The outer wall of the service, as plain ASGI: ids, keys, bounds, metrics. Inside it bodies are whole and bounded."""

import asyncio
import logging
import time
import zlib
from collections.abc import Callable
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.metrics import Metrics
from serving.problems import Refused, refusal, response
from serving.security import Access
from serving.settings import ServingSettings
from serving.visit import Visit, enter

log = logging.getLogger("tidegate.access")

DISCARDED = 32 * 2**20
"""Bytes beyond the limit that are read and thrown away, so that a caller who reads after sending sees the 413."""
REASONS = {"unauthorized": "key", "forbidden": "key", "rate_limited": "rate", "too_large": "too_large"}
"""Code of a refusal to the reason that metrics know it by; the hub counts its own."""


class ClientGone(Exception):
    """The caller hung up; nobody reads an answer."""


class Edge:
    """Wraps the application."""

    def __init__(
        self,
        app: ASGIApp,
        access: Access,
        settings: ServingSettings,
        metrics: Metrics,
        draining: Callable[[], bool] = lambda: False,
    ) -> None:
        self.app = app
        self.access = access
        self.settings = settings
        self.metrics = metrics
        self.draining = draining
        """Whether the service is to end: every answer then closes its connection, and the caller goes elsewhere."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens on the way."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        visit = enter(scope, headers.get("x-request-id"))
        answer = _Answer(send, visit, self.draining)
        try:
            visit.caller = self.access.admit(scope["path"], headers)
            body = await read_body(receive, headers, self.settings)
            await self.app(scope, _whole(body, receive), answer)
        except ClientGone:
            visit.code = "client_gone"
        except Exception as error:
            refused = refusal(error)
            if not answer.status:
                await response(refused, scope)(scope, receive, answer)
        self._count(scope, visit, answer.status)

    def _count(self, scope: Scope, visit: Visit, status: int) -> None:
        route = getattr(scope.get("route"), "path", "")
        self.metrics.requests.labels(visit.line, route, str(status or 499)).inc()
        took = time.perf_counter() - visit.arrived
        if visit.line and scope["method"] == "POST":
            self.metrics.latency.labels(visit.line).observe(took)
        if reason := REASONS.get(visit.code):
            self.metrics.rejected.labels(visit.line, reason).inc()
        if self.settings.access_log:
            who = visit.caller.name
            log.info("%s %s %s %d %.1f ms %s", visit.request_id, scope["method"], route, status, 1000 * took, who)


class _Answer:
    """Sends an answer with the headers that every answer has."""

    def __init__(self, send: Send, visit: Visit, draining: Callable[[], bool]) -> None:
        self.send, self.visit, self.draining = send, visit, draining
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            extra = [(b"x-request-id", self.visit.request_id.encode()), (b"x-content-type-options", b"nosniff")]
            if self.draining():
                extra.append((b"connection", b"close"))
            message["headers"] = [*message.get("headers", []), *extra]
        await self.send(message)


def _whole(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body in one piece and then waits for the caller to hang up."""
    given = False

    async def once() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once


async def read_body(receive: Receive, headers: Headers, settings: ServingSettings) -> bytes:
    """The body, inflated. Raises Refused (408, 413, 415), ClientGone."""
    limit = settings.limits.body_bytes
    said = headers.get("content-length", "")
    if said.isdecimal() and int(said) > limit + DISCARDED:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(settings.limits.body_seconds):
            body = await _read(receive, limit)
    except TimeoutError:
        raise Refused(
            408, "too_slow", f"The body did not arrive within {settings.limits.body_seconds:g} s.",
            {"Connection": "close"},
        ) from None  # fmt: skip
    encoding = headers.get("content-encoding", "identity").strip().lower()
    return body if encoding == "identity" else inflate(body, encoding, limit)


async def _read(receive: Receive, limit: int) -> bytes:
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part, more = message.get("body", b""), message.get("more_body", False)
        size += len(part)
        if size <= limit:
            parts.append(part)
        elif size > limit + DISCARDED:
            break
    if size > limit:
        raise _too_large(limit)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(limit: int) -> Refused:
    return Refused(
        413, "too_large", f"The body is larger than {limit:,} bytes. Send fewer texts at once.", {"Connection": "close"}
    )


def inflate(body: bytes, encoding: str, limit: int) -> bytes:
    """A gzip or deflate body as it was, never more than `limit` bytes of it. Raises Refused (413, 415, 422)."""
    if encoding not in ("gzip", "deflate"):
        raise Refused(415, "unsupported_encoding", "Content-Encoding may be gzip, deflate or identity.")
    stream: Any = zlib.decompressobj(wbits=47)  # either, told apart by their first bytes
    try:
        content: bytes = stream.decompress(body, limit + 1)
    except zlib.error:
        raise Refused(422, "invalid", f"The body is not {encoding}, as its Content-Encoding says.") from None
    if len(content) > limit:
        raise _too_large(limit)
    if not stream.eof or stream.unused_data:
        raise Refused(422, "invalid", f"The {encoding} body is cut off, or something follows it.")
    return content
