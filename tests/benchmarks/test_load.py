"""The load generator: what it counts, and what it does when connections end."""

import asyncio
import importlib.util
import sys
from pathlib import Path

import pytest

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n%s\r\nok"


@pytest.fixture(scope="module")
def load():
    spec = importlib.util.spec_from_file_location("load", Path(__file__).parents[2] / "benchmarks/load.py")
    module = sys.modules["load"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Server:
    """Answers every request with `answer`, closing after each `closing`th without a word."""

    def __init__(self, answer=ANSWER % b"", closing=0):
        self.answer, self.closing = answer, closing
        self.requests = self.connections = 0

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.server.close()

    async def serve(self, reader, writer):
        self.connections += 1
        while head := await reader.readuntil(b"\r\n\r\n"):
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))
            self.requests += 1
            writer.write(self.answer)
            if self.closing and self.requests % self.closing == 0:
                break
        writer.close()


def job(load, server, **more):
    return load.Job(server.port, "/", ["{}"], **{"seconds": 0.3, "warm_seconds": 0.0, **more})


def run(body):
    return asyncio.run(asyncio.wait_for(body, 60))


def test_callers_keep_their_connections(load):
    async def body():
        async with Server() as server:
            found = await load.run(job(load, server, concurrency=3))
            assert server.connections == 3
            assert found.codes == {"200": server.requests}
            assert len(found.milliseconds) == server.requests > 3

    run(body())


def test_open_loop_sends_at_its_rate_and_counts_from_when_it_was_due(load):
    async def body():
        async with Server() as server:
            found = await load.run(job(load, server, rate=200, seed=1))
            assert 30 <= found.codes["200"] <= 90
            assert min(found.milliseconds) > 0

    run(body())


def test_a_connection_closed_while_idle_is_opened_again(load):
    async def body():
        async with Server(closing=2) as server:
            connection = load.Connection("127.0.0.1", server.port)
            for _ in range(6):
                assert (await connection.ask("POST", "/", b"{}")).body == b"ok"
                await asyncio.sleep(0.01)
            assert connection.again == 2

    run(body())


def test_farewell_is_heeded(load):
    async def body():
        async with Server(ANSWER % b"connection: close\r\n", closing=1) as server:
            connection = load.Connection("127.0.0.1", server.port)
            for _ in range(3):
                await connection.ask("POST", "/", b"{}")
            assert (connection.again, server.connections) == (0, 3)

    run(body())


def test_half_an_answer_is_no_answer(load):
    async def body():
        async with Server(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", closing=1) as server:
            found = await load.run(job(load, server, concurrency=1, seconds=0.05))
            assert found.codes["Broken"] and not found.milliseconds

    run(body())
