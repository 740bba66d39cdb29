"""The programs of `tidegate up`: which are needed here, and how each is started."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from flows import running
from flows.chat_settings import load_chat
from flows.keeper import Program
from flows.server import free_port, settle
from flows.settings import answering
from flows.up_settings import UpSettings
from serving.settings import load_serving
from tasks.annotation.journal import FOLDER as ANNOTATION
from tasks.core.errors import SettingsError
from tasks.core.settings import PARAMS
from tasks.team import load_team

ANNOTATE, CHAT = "annotate", "chat"
PROGRAMS = (running.SERVER, "worker", "service", "ops", ANNOTATE, CHAT, "watch")
PYTHON = (sys.executable, "-m")


def named(only: Sequence[str], settings: UpSettings) -> tuple[str, ...]:
    """The names of what is to run: `only`, or all that somebody needs here. Raises SettingsError for another name."""
    unknown = [name for name in only if name not in PROGRAMS]
    if unknown:
        raise SettingsError(f"--only was given as {', '.join(unknown)}; there are {', '.join(PROGRAMS)}.")
    left_out = {running.SERVER} if os.environ.get("PREFECT_API_URL") else set()
    if not only:
        left_out |= set() if _labels() else {ANNOTATE}
        left_out |= set() if settings.chat and answering() else {CHAT}
    return tuple(name for name in PROGRAMS if name in (only or PROGRAMS) and name not in left_out)


def programs(chosen: Sequence[str], settings: UpSettings) -> list[Program]:
    """What is to run, in the order of starting; of a chat a program per product. Sets PREFECT_API_URL for all of it.

    Raises SettingsError where a chat is chosen that cannot be started.
    """
    settle()
    port, worker_port = settings.prefect_port or free_port(), free_port()
    os.environ.setdefault("PREFECT_API_URL", f"http://127.0.0.1:{port}/api")
    os.environ["PYTHONUNBUFFERED"] = "1"  # a log that is behind is no help
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path.cwd()), os.environ.get("PYTHONPATH")]))
    every = {
        running.SERVER: [
            Program(
                running.SERVER, (*PYTHON, "flows.server", "--lasting", "--port", str(port)),
                f"http://127.0.0.1:{port}", "/api/health", 15,
            )
        ],
        "worker": [
            Program(
                "worker", (*PYTHON, "flows.worker", "--health-port", str(worker_port)),
                f"http://127.0.0.1:{worker_port}", "/health", 40,
            )
        ],
        "service": [
            Program(
                "service", (*PYTHON, "serving", "--supervised"), None, "/v2/health/live",
                2 * load_serving().stop_seconds + 15,
            )
        ],
        "ops": [Program("ops", (*PYTHON, "flows.ops"), None, "/health")],
        ANNOTATE: [Program(ANNOTATE, (*PYTHON, "flows.annotate"), None, "/health")],
        CHAT: chats() if CHAT in chosen else [],
        "watch": [Program("watch", (*PYTHON, "flows.watch", "--minutes", str(settings.watch_minutes)))],
    }  # fmt: skip
    return [program for name in chosen for program in every[name]]


def chats() -> list[Program]:
    """The chat page of each product that answers.

    Raises SettingsError where there is none, or two of them have the same port.
    """
    found, taken, usual = answering(), dict[int, str](), load_chat().port
    if not found:
        raise SettingsError(f"{PARAMS} has no product of kind answer, so that there is no chat to start.")
    for name, product in found.items():
        port = usual if product.port is None else product.port
        if port and port in taken:
            raise SettingsError(
                f"The chats of {taken[port]} and {name} have the same port, {port}. "
                f"Give one of them a port of its own: products.{name}.port."
            )
        taken[port] = name
    return [Program(f"{CHAT}-{name}", (*PYTHON, "flows.chat", name), None, "/health") for name in found]


def _labels() -> bool:
    """Whether anybody could label: a line has a queue, or team.yaml names people for it."""
    team = load_team()
    return any(ANNOTATION.glob("*/items.jsonl")) or bool(team and team.having("annotator", "adjudicator"))
