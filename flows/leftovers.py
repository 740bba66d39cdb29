"""What killed runs leave behind, found and cleaned: runs that Prefect believes alive, scratch folders."""

import os
import shutil
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from tasks.core.line import STATE

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

SCRATCH = STATE / "scratch"
BEGINS = timedelta(minutes=10)
"""In which the process of a run begins after a worker took the run: some seconds, on a busy machine a minute."""


def tag() -> str:
    """A tag for this process's flow runs that tells later whether the process still lives: host, pid and start."""
    return f"process:{socket.gethostname()}:{os.getpid()}:{int(psutil.Process().create_time())}"


def alive(process_tag: str) -> bool:
    """Whether the process of a tag lives; one of another host is taken to."""
    _, host, pid, started = process_tag.rsplit(":", 3)
    if host != socket.gethostname():
        return True
    try:
        return int(psutil.Process(int(pid)).create_time()) == int(started)
    except psutil.NoSuchProcess:
        return False


def crash_dead_runs(client: "SyncPrefectClient") -> list[str]:
    """Mark as crashed the flow runs of this host that Prefect believes alive and whose process is dead; their names."""
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
    from prefect.client.schemas.objects import StateType
    from prefect.states import Crashed

    unfinished = FlowRunFilterStateType(any_=[StateType.RUNNING, StateType.PENDING, StateType.CANCELLING])
    runs = client.read_flow_runs(flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=unfinished)))
    dead = [run for run in runs if not all(alive(t) for t in run.tags if t.startswith("process:")) or _lost(run)]
    for run in dead:
        client.set_flow_run_state(run.id, Crashed(message="Its process was killed."), force=True)
    return [run.name for run in dead]


def _lost(run: "FlowRun") -> bool:
    """Whether a worker took a run and died before the run's own process began."""
    tagged = any(tag.startswith("process:") for tag in run.tags)
    if tagged or run.work_pool_name is None or run.state is None or not run.state.is_pending():
        return False
    return datetime.now(UTC) - run.state.timestamp > BEGINS


def scratch_folders() -> list[Path]:
    """Scratch folders of stages whose process is dead."""
    return [folder for folder in SCRATCH.glob("*") if not _runs(folder)]


def clear_scratch() -> list[Path]:
    """Remove the scratch folders of dead stages; returns what was removed."""
    folders = scratch_folders()
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    return folders


def _runs(folder: Path) -> bool:
    pid = folder.name.rsplit("-", 1)[-1]
    return pid.isdigit() and psutil.pid_exists(int(pid))
