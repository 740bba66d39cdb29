"""Services as processes of their own: started, waited for, weighed, ended."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil

from flows.process import child

ROOT = Path(__file__).resolve().parent.parent
MEGABYTE = 2**20
START_SECONDS = 180.0
END_SECONDS = 60.0
ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")  # a setting of tests, which would hold contenders back


def free_port() -> int:
    """A port that was free a moment ago."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def service(command: Sequence[str], folder: Path, log: Path) -> Iterator[subprocess.Popen[str]]:
    """`python COMMAND` in a folder, with this project's code, its output in a file; ended with the block."""
    for name in ONE_THREAD:
        os.environ.pop(name, None)
    os.environ["PYTHONPATH"] = str(ROOT)
    with log.open("a", encoding="utf-8") as stream:
        enter = f"import os, sys; os.chdir({str(folder)!r}); os.execv(sys.argv[1], sys.argv[1:])"
        full = [sys.executable, "-c", enter, sys.executable, *command]
        with child(full, stdout=stream.fileno()) as process:
            yield process
            end(process)


def end(process: "subprocess.Popen[str]") -> int:
    """Ask it to end and wait; its exit code. Raises TimeoutExpired."""
    process.terminate()
    return process.wait(END_SECONDS)


def await_answer(process: "subprocess.Popen[str]", method: str, url: str, log: Path, body: str = "") -> None:
    """Wait until a request is answered with 200. Raises RuntimeError with the log's end when it is not in time."""
    until = time.monotonic() + START_SECONDS
    with httpx.Client(trust_env=False, timeout=START_SECONDS, headers={"Content-Type": "application/json"}) as client:
        while time.monotonic() < until and process.poll() is None:
            try:
                if client.request(method, url, content=body).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
    raise RuntimeError(f"{url} does not answer:\n{log.read_text()[-2000:]}")


def _tree(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def memory(pid: int) -> dict[str, float]:
    """MB of a process and all below it: `rss`, and `pss`, which counts shared pages once."""
    found = {"rss": 0.0, "pss": 0.0}
    for process in _tree(pid):
        with suppress(psutil.NoSuchProcess):
            full = process.memory_full_info()
            found = {name: value + getattr(full, name) / MEGABYTE for name, value in found.items()}
    return found


def cpu_seconds(pid: int) -> float:
    """CPU time so far of a process and all below it."""
    total = 0.0
    for process in _tree(pid):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total
