"""A Prefect server for one run where none is set up; it dies with the run, however the run dies.

Prefect's own temporary server outlives a killed script and shares its terminal's Ctrl-C, so that the last state of a
run could get lost; this one does neither.
"""

import argparse
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.process import child
from tasks.core.errors import TidegateError
from tasks.core.line import STATE
from tasks.core.quiet import silence
from tasks.core.stage import end_with_parent

STARTUP = 60.0  # seconds; 13 were seen with a fresh home on two busy cores
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
    port = _free_port()
    HOME.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "flows.server", "--port", str(port)]
    with (HOME / "server.log").open("w") as log, child(command, stdout=log.fileno()) as process:
        os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
        try:
            import prefect  # noqa: F401 - takes as long as the server's own start, so it goes on beside it
            from prefect.logging.handlers import APILogHandler

            _wait(port, lambda: process.poll() is None, Path(log.name))
            yield os.environ["PREFECT_API_URL"]
            APILogHandler().flush()  # before the server goes, or the last log lines are lost
        finally:
            del os.environ["PREFECT_API_URL"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(port: int, alive: Callable[[], bool], log: Path) -> None:
    import httpx

    deadline = time.monotonic() + STARTUP
    with httpx.Client(trust_env=False) as client:
        while alive() and time.monotonic() < deadline:
            try:
                if client.get(f"http://127.0.0.1:{port}/api/health").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
    raise TidegateError(
        f"The temporary Prefect server did not start within {STARTUP:.0f} s; its log is {log}. "
        "Run `tidegate doctor`, or set PREFECT_API_URL to a running server."
    )


def main() -> None:
    """Serve Prefect's API on a loopback port until the parent ends."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    settle()
    end_with_parent()
    os.environ["PREFECT_UI_ENABLED"] = "0"
    import uvicorn
    from prefect.server.api.server import create_app

    uvicorn.run(create_app(ephemeral=True), host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main()
