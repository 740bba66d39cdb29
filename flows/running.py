"""`.tidegate/up.json`: what `tidegate up` runs on this machine now."""

import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import psutil
from pydantic import BaseModel, ValidationError

from tasks.core.files import read_json, write_json
from tasks.core.line import STATE

FILE = STATE / "up.json"
LOGS = STATE / "logs"
SERVER = "server"
"""The name of the program that is Prefect's server."""

State = Literal["starting", "runs", "waits", "ended"]


class Running(BaseModel):
    """One program as it is now. `waits`: it died, and starts again after a pause."""

    name: str
    state: State = "starting"
    pid: int | None = None
    since: datetime | None = None
    """When this process of it was started."""
    restarts: int = 0
    address: str | None = None
    """Where it answers."""
    health: str | None = None
    """Path below its address that answers 200 when it is well; None for a program that answers nobody."""

    @property
    def log(self) -> Path:
        """What it prints."""
        return LOGS / f"{self.name}.log"


class Up(BaseModel):
    """The process of `tidegate up` and its programs."""

    host: str
    pid: int
    started: float
    """Of the process, as the system tells it: a process id alone may be another's by now."""
    since: datetime
    ready: bool = False
    """Whether everything has answered once."""
    programs: list[Running] = []

    def program(self, name: str) -> Running | None:
        """One of its programs; None where it does not run that one."""
        return next((one for one in self.programs if one.name == name), None)


def here() -> Up:
    """This process, with no programs yet."""
    process = psutil.Process()
    return Up(host=socket.gethostname(), pid=process.pid, started=process.create_time(), since=datetime.now(UTC))


def keep(up: Up) -> None:
    """Write it down."""
    write_json(FILE, up.model_dump(mode="json"))


def forget() -> None:
    """Nothing runs any more."""
    FILE.unlink(missing_ok=True)


def found() -> Up | None:
    """The `tidegate up` of this project that lives on this machine; None where none does, or it was killed."""
    try:
        up = Up.model_validate(read_json(FILE))
    except (FileNotFoundError, ValueError, ValidationError):
        return None
    return up if lives(up) else None


def lives(up: Up) -> bool:
    """Whether its process does."""
    try:
        process = psutil.Process(up.pid)
        ended = process.status() == psutil.STATUS_ZOMBIE  # its parent has not asked yet how it ended
        return up.host == socket.gethostname() and process.create_time() == up.started and not ended
    except psutil.NoSuchProcess:
        return False


def join() -> None:
    """Let this process use the Prefect server of `tidegate up`, where one runs here and PREFECT_API_URL names none."""
    if "PREFECT_API_URL" not in os.environ and (server := address(SERVER)):
        os.environ["PREFECT_API_URL"] = f"{server}/api"


def address(name: str) -> str | None:
    """Where a program of `tidegate up` answers; None where it does not run here."""
    up = found() if FILE.exists() else None
    program = up.program(name) if up else None
    return program.address if program is not None and program.state == "runs" else None


def well(program: Running, seconds: float = 3.0) -> bool:
    """Whether a program does what it should: it answers, or lives where it answers nobody."""
    import httpx

    if program.state != "runs" or program.health is None:
        return program.state == "runs"
    if program.address is None:
        return False
    try:
        with httpx.Client(trust_env=False, timeout=seconds) as client:
            return client.get(f"{program.address}{program.health}").status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
