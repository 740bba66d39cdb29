"""Load over HTTP/1.1 with keep-alive, from a process of its own, so that measuring takes nothing from what is measured.

    python benchmarks/load.py < job.json

Closed loop: so many callers, each of which asks again when it has its answer. Open loop: requests come at random
moments at a given rate, whatever the answers do; time counts from when a request was due, so that waiting is seen.
"""

import asyncio
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ANSWER_SECONDS = 90.0
MOST_CONNECTIONS = 512  # of the open loop; beyond it requests wait here, and that counts as well
LIMIT = 2**24


class Broken(Exception):
    """The connection ended before the answer did. `sent` says whether a byte of the answer had come."""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    code: int
    headers: dict[str, str]
    body: bytes


class Connection:
    """One connection, opened when it is needed."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.again = 0
        """Requests sent once more, since the server had closed the idle connection just then."""

    async def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        """One request. Raises Broken, TimeoutError."""
        given = {"Host": f"{self.host}:{self.port}", "Content-Type": "application/json", **headers}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
        head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""])
        used = self._writer is not None
        async with asyncio.timeout(ANSWER_SECONDS):
            try:
                return await self._exchange(head.encode() + body)
            except Broken:
                if not used:
                    raise
                self.again += 1
                return await self._exchange(head.encode() + body)

    async def _exchange(self, request: bytes) -> Answer:
        try:
            if self._writer is None:
                self._reader, self._writer = await asyncio.open_connection(self.host, self.port, limit=LIMIT)
            self._writer.write(request)
            assert self._reader is not None  # noqa: S101 - opened with the writer
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *rest = head.rstrip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
            body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        except (OSError, asyncio.IncompleteReadError) as error:
            self.close()
            raise Broken(repr(error)) from None
        if headers.get("connection", "").lower() == "close":
            self.close()
        return Answer(int(first.split()[1]), headers, body)

    def close(self) -> None:
        """Let go; the next request opens a new one."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


@dataclass(frozen=True)
class Job:
    """What to send: `bodies` in turn, for `seconds` after `warm_seconds` that do not count."""

    port: int
    path: str
    bodies: list[str]
    seconds: float
    concurrency: int = 0
    """Callers of the closed loop."""
    rate: float = 0.0
    """Requests per second of the open loop, where there is no `concurrency`."""
    warm_seconds: float = 1.0
    host: str = "127.0.0.1"
    seed: int = 0


@dataclass
class Found:
    """What came of it."""

    seconds: float = 0.0
    """From the first request that counts to the last answer."""
    codes: Counter[str] = field(default_factory=Counter)
    milliseconds: list[float] = field(default_factory=list)
    """Of the answers with 200, in the order in which they came."""
    answered: int = 0
    """Answers with 200, those while warming up as well."""


class _Load:
    def __init__(self, job: Job) -> None:
        self.job, self.found = job, Found()
        self.begin = time.perf_counter() + job.warm_seconds
        self.end = self.begin + job.seconds
        self._next = 0

    async def one(self, connection: Connection, due: float) -> None:
        """Ask for the next text, and note how long it took since it was due."""
        body = self.job.bodies[self._next % len(self.job.bodies)]
        self._next += 1
        try:
            code = str((await connection.ask("POST", self.job.path, body.encode())).code)
        except (Broken, TimeoutError) as error:
            code = type(error).__name__
            connection.close()
        now = time.perf_counter()
        self.found.answered += code == "200"
        if due >= self.begin:
            self.found.codes[code] += 1
            self.found.seconds = now - self.begin
            if code == "200":
                self.found.milliseconds.append(round(1000 * (now - due), 3))

    async def closed(self) -> None:
        """Callers that ask again as soon as they have their answer."""

        async def caller() -> None:
            async with connected(self.job) as connection:
                while (now := time.perf_counter()) < self.end:
                    await self.one(connection, now)

        await asyncio.gather(*(caller() for _ in range(self.job.concurrency)))

    async def open(self) -> None:
        """Requests at random moments, each on an idle connection."""
        idle: asyncio.LifoQueue[Connection] = asyncio.LifoQueue()
        connections = [Connection(self.job.host, self.job.port) for _ in range(MOST_CONNECTIONS)]
        for connection in connections:
            idle.put_nowait(connection)

        async def request(due: float) -> None:
            connection = await idle.get()
            await self.one(connection, due)
            idle.put_nowait(connection)

        chance = random.Random(self.job.seed)  # noqa: S311 - no secret
        due = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            while due < self.end:
                await asyncio.sleep(due - time.perf_counter())
                group.create_task(request(due))
                due += chance.expovariate(self.job.rate)
        for connection in connections:
            connection.close()


@asynccontextmanager
async def connected(job: Job) -> AsyncIterator[Connection]:
    """A connection that is closed at the end."""
    connection = Connection(job.host, job.port)
    try:
        yield connection
    finally:
        connection.close()


async def run(job: Job) -> Found:
    """Send the load."""
    load = _Load(job)
    await (load.closed() if job.concurrency else load.open())
    return load.found


def apart(job: Job) -> Found:
    """Send the load from a process of its own."""
    command = [sys.executable, str(Path(__file__).resolve())]
    limit = job.warm_seconds + job.seconds + 3 * ANSWER_SECONDS
    done = subprocess.run(command, input=json.dumps(asdict(job)), capture_output=True, text=True, timeout=limit)
    if done.returncode:
        raise RuntimeError(done.stderr)
    given: dict[str, Any] = json.loads(done.stdout)
    return Found(given["seconds"], Counter(given["codes"]), given["milliseconds"], given["answered"])


if __name__ == "__main__":
    import uvloop

    print(json.dumps(vars(uvloop.run(run(Job(**json.load(sys.stdin)))))))
