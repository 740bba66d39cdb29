"""`python -m flows.worker`: the worker of `tidegate up`. Prefect learns what prefect.yaml says; what is due runs."""

import argparse
import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import psutil

from flows import deployments, leftovers
from flows.engine import RUN
from flows.server import STARTUP, answers, settle
from tasks.core.errors import TidegateError
from tasks.core.stage import end_with_parent

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

log = logging.getLogger("tidegate")

POOL = "tidegate"
POLL = 0.1  # seconds
RUN_SECONDS = 20.0  # for a run to end its stage and to say so, before it is killed
ENDED = "Ended with the worker, by `tidegate down` or Ctrl-C. Nothing half-done was recorded."


def main() -> int:
    """Deploy, then run what is due until told to end; the exit code."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--health-port", type=int, required=True, help="answers /health on loopback")
    port = parser.parse_args().health_port
    settle()
    end_with_parent()
    os.environ |= {
        "PREFECT_LOGGING_EXTRA_LOGGERS": "tidegate",
        "PREFECT_WORKER_WEBSERVER_HOST": "127.0.0.1",
        "PREFECT_WORKER_WEBSERVER_PORT": str(port),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",  # prefect.yaml says just `python`
    }
    try:
        if not answers(os.environ["PREFECT_API_URL"], STARTUP):
            raise TidegateError(f"No Prefect server answers at {os.environ['PREFECT_API_URL']}.")
        _deploy()
        return asyncio.run(_work())
    except TidegateError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)  # noqa: T201
        return error.exit_code


def _deploy() -> None:
    """Let Prefect hold what prefect.yaml says, and crash the runs of dead processes."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists
    from prefect.workers.process import ProcessWorker

    with get_client(sync_client=True) as client:
        for name in leftovers.crash_dead_runs(client):
            log.warning("%s was killed in the middle; Prefect knows now", name)
        try:
            template = ProcessWorker.get_default_base_job_template()
            client.create_work_pool(WorkPoolCreate(name=POOL, type="process", base_job_template=template))
        except ObjectAlreadyExists:
            pass
        command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            raise TidegateError(f"`prefect deploy --all` failed:\n{done.stdout}")
        for gone in deployments.tidy(client, deployments.load()):
            log.info("the schedule %s is no more in %s and is deleted", gone, deployments.FILE)


async def _work() -> int:
    from prefect.workers.process import ProcessWorker

    stop = asyncio.Event()
    for which in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(which, stop.set)
    worker = ProcessWorker(work_pool_name=POOL, name=socket.gethostname())
    working = asyncio.ensure_future(worker.start(with_healthcheck=True))
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
    if working.done():
        working.result()
        return 1
    await asyncio.to_thread(_end_runs)
    working.cancel()
    await asyncio.wait([working])
    return 0


def _end_runs() -> None:
    """End the runs of this worker, stages first, and say so in Prefect: else they would be called crashed."""
    from prefect.client.orchestration import get_client

    runs = {process: UUID(run) for process in psutil.Process().children() if (run := _run_of(process))}
    for process in runs:
        process.terminate()
    deadline = time.monotonic() + RUN_SECONDS
    while (left := [process for process in runs if process.is_running()]) and time.monotonic() < deadline:
        time.sleep(POLL)  # the worker's loop goes on beside this, and reaps them
    for process in left:
        process.kill()
    with get_client(sync_client=True) as client:
        for run_id in runs.values():
            _cancel(client, run_id)


def _run_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(RUN)
    except psutil.Error:
        return None


def _cancel(client: "SyncPrefectClient", run_id: UUID) -> None:
    from prefect.states import Cancelled

    state = client.read_flow_run(run_id).state
    if state is None or state.is_crashed() or not state.is_final():
        client.set_flow_run_state(run_id, Cancelled(message=ENDED), force=True)


if __name__ == "__main__":
    sys.exit(main())
