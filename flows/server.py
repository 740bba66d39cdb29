"""A Prefect server: the lasting one of `tidegate up`, or one for a single run where none is up.

Either dies with the process that started it, however that dies. Prefect's own temporary server outlives a killed script
and shares its terminal's Ctrl-C, so that the last state of a run could get lost; this one does neither.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from flows.process import child
from serving.listener import open_listener
from tasks.core.errors import TidegateError
from tasks.core.line import STATE
from tasks.core.quiet import silence
from tasks.core.stage import end_with_parent

if TYPE_CHECKING:
    import socket

STARTUP = 60.0  # seconds; 13 were seen with a fresh home on two busy cores
STOP = 5  # seconds for open connections: workers hold theirs for ever
HOME = STATE / "prefect"


def settle() -> None:
    """Keep Prefect's home inside the project and its telemetry off. To be called before Prefect is imported."""
    silence()
    os.environ.setdefault("PREFECT_HOME", str(HOME.absolute()))
    os.environ.setdefault("PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW", "ignore")


@contextmanager
def server() -> Iterator[str]:
    """The URL of a Prefect API: the one that PREFECT_API_URL names, else a server started for this block."""
    configured = os.environ.get("PREFECT_API_URL")
    if configured:
        yield configured
        return
    port = free_port()
    HOME.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "flows.server", "--port", str(port)]
    with (HOME / "server.log").open("w") as log, child(command, stdout=log.fileno()) as process:
        os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
        try:
            import prefect  # noqa: F401 - takes as long as the server's own start, so it goes on beside it
            from prefect.logging.handlers import APILogHandler

            if not answers(os.environ["PREFECT_API_URL"], STARTUP, lambda: process.poll() is None):
                raise TidegateError(
                    f"The temporary Prefect server did not start within {STARTUP:.0f} s; its log is {log.name}. "
                    "Run `tidegate doctor`, or set PREFECT_API_URL to a running server."
                )
            yield os.environ["PREFECT_API_URL"]
            APILogHandler().flush()  # before the server goes, or the last log lines are lost
        finally:
            del os.environ["PREFECT_API_URL"]


def free_port() -> int:
    """A loopback port that nobody uses now."""
    with open_listener("127.0.0.1", 0) as probe:
        port: int = probe.getsockname()[1]
        return port


def answers(url: str, seconds: float, alive: Callable[[], bool] = lambda: True) -> bool:
    """Whether a Prefect API answers within some seconds, as long as what should answer is `alive`."""
    import httpx

    deadline = time.monotonic() + seconds
    with httpx.Client(trust_env=False) as client:
        while alive() and time.monotonic() < deadline:
            try:
                if client.get(f"{url}/health").status_code == httpx.codes.OK:
                    return True
            except httpx.TransportError:
                pass
            time.sleep(0.05)
    return False


def main() -> int:
    """Serve Prefect's API on a loopback port until the parent ends; the exit code."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--lasting", action="store_true", help="with page, schedules, triggers and clean-up")
    arguments = parser.parse_args()
    settle()
    end_with_parent()
    try:
        listener = open_listener("127.0.0.1", arguments.port)
    except TidegateError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)  # noqa: T201
        return error.exit_code
    return _serve(listener, arguments.lasting)


def _serve(listener: "socket.socket", lasting: bool) -> int:
    port = listener.getsockname()[1]
    os.environ |= {
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_UI_ENABLED": str(int(lasting)),
        # in memory, a restart would forget who holds a deployment's one slot, and cancel the run that is about to begin
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    }
    os.environ.pop("PREFECT_API_URL", None)  # its own, and it asks itself without a network
    import uvicorn
    from prefect.server.api.server import create_app

    from flows.origin import OwnPages

    app = OwnPages(create_app(ephemeral=not lasting), port)
    serving = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=STOP))
    serving.run(sockets=[listener])
    return 0 if serving.started else 1


if __name__ == "__main__":
    sys.exit(main())
