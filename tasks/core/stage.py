"""The entry point of every stage: `python -m tasks.<stage> <line>`, the same for DVC and for Prefect."""

import argparse
import inspect
import logging
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, get_type_hints

import psutil
import yaml

from tasks.core.errors import StageError, TidegateError, disk_full
from tasks.core.files import sha256
from tasks.core.line import STATE, Line
from tasks.core.quiet import silence
from tasks.core.settings import PARAMS, Settings, line_params, parse, read_params

log = logging.getLogger("tidegate")

PARENT_PIPE = "TIDEGATE_PARENT_PIPE"
"""Environment variable with the file descriptor of a pipe whose other end the parent holds open while it lives."""

DVC_STAGE = "DVC_STAGE"
"""Environment variable that DVC sets for the stages it runs."""

PARENT_POLL = 0.5  # seconds between looks at whether DVC still lives


def run_stage(body: Callable[..., None]) -> NoReturn:
    """Run a stage body from the command line and end the process.

    The body gets `line`, `out` (an empty folder that becomes `data/<line>/<stage>/` when the body ends well), and one
    Settings block of the line for each parameter annotated with one. Exit codes: 0 done, 1 failed, 2 wrong settings,
    3 an earlier gate rejects.
    """
    stage = body.__name__
    parser = argparse.ArgumentParser(prog=f"python -m tasks.{stage}", description=inspect.getdoc(body))
    parser.add_argument("line", help="a line of params.yaml")
    arguments = parser.parse_args()
    silence()
    end_with_parent()
    logging.basicConfig(level=logging.WARNING, stream=sys.stdout, format="%(message)s", force=True)
    log.setLevel(logging.INFO)
    try:
        execute(body, arguments.line)
    except TidegateError as error:
        sys.exit(_complain(error, error.exit_code))
    except MemoryError:
        sys.exit(_complain(f"{stage} ran out of memory. Nothing was recorded.", 1))
    except Exception as error:
        full = disk_full(error)
        if full is None:
            raise
        sys.exit(_complain(full, full.exit_code))
    sys.exit(0)


def execute(body: Callable[..., None], line_name: str) -> None:
    """Run a stage body in this process: settings in, a scratch folder that takes its place when all went well.

    Raises StageError when a dependency or a parameter of the stage was edited meanwhile: what was computed then
    belongs to no state that could be named, and nothing of it is kept.
    """
    stage = body.__name__
    params = line_params(read_params(), line_name)
    line = Line(line_name, kind=params.get("kind", ""))
    blocks = {
        name: parse(hint, params.get(hint.block), f"lines.{line_name}.{hint.block}")
        for name, hint in get_type_hints(body).items()
        if inspect.isclass(hint) and issubclass(hint, Settings)
    }
    before = fingerprint(stage, line)
    scratch = STATE / "scratch" / f"{line_name}-{stage}-{os.getpid()}"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        body(line, out=scratch, **blocks)
        changed = sorted(what for what, digest in fingerprint(stage, line).items() if before.get(what) != digest)
        if changed:
            raise StageError(
                f"{', '.join(changed)} changed while {stage} was running. Nothing was recorded; run it again."
            )
        folder = line.folder / stage
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def declared(stage: str, line: Line) -> dict[str, Any]:
    """The entry of a stage in dvc.yaml with the line's name and kind filled in: `cmd`, `deps`, `params`, `outs`."""
    text = Path("dvc.yaml").read_text(encoding="utf-8")
    text = text.replace("${key}", line.name).replace("${item.kind}", line.kind)
    entry: dict[str, Any] = yaml.safe_load(text)["stages"][stage]["do"]
    return entry


def fingerprint(stage: str, line: Line) -> dict[str, str]:
    """Digest of every dependency file and every parameter that dvc.yaml declares for a stage.

    Raises StageError when a dependency is missing.
    """
    entry = declared(stage, line)
    digests = {}
    for dependency in map(Path, entry["deps"]):
        if not dependency.exists():
            raise StageError(_missing(dependency, line))
        digests[str(dependency)] = sha256(dependency)
    params = read_params()
    for key in entry.get("params", []):
        value: Any = params
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        digests[f"{PARAMS}:{key}"] = repr(value)
    return digests


def _missing(dependency: Path, line: Line) -> str:
    if dependency == line.inbox:
        return f"{dependency} is missing: there is no data yet. Run `tidegate sync {line.name}`, or `dvc pull`."
    if dependency.parent == line.folder and dependency.suffix == ".yaml":
        return f"{dependency} is missing. It is written by hand, one for each line; `[]` is enough to begin with."
    if dependency == line.folder / "labelling":
        return f"{dependency} is missing, the folder of labelling functions. One that holds a README.md is enough."
    return f"{dependency} is missing. Run `tidegate run {line.name}` or `dvc repro`, which make it, or `dvc pull`."


def _complain(message: object, code: int) -> int:
    print(f"error: {message}", file=sys.stdout, flush=True)
    return code


def end_with_parent() -> None:
    """End with the parent, however it dies.

    `tidegate` holds the other end of a pipe open: when that closes, this process group goes. A killed `dvc repro` would
    leave its stage at work, and between the two may stand a shell that outlives it: DVC is the nearest process above
    that was not started with DVC's own variable.
    """
    pipe = os.environ.pop(PARENT_PIPE, None)
    if pipe is not None:
        threading.Thread(target=_watch_pipe, args=(int(pipe),), daemon=True).start()
    elif DVC_STAGE in os.environ:
        above = psutil.Process().parents()
        dvc = next((process for process in above if not _under_dvc(process)), None)
        if dvc is not None:
            threading.Thread(target=_watch, args=(dvc,), daemon=True).start()


def _watch_pipe(descriptor: int) -> None:
    os.read(descriptor, 1)
    os.killpg(0, signal.SIGKILL)


def _under_dvc(process: psutil.Process) -> bool:
    try:
        return DVC_STAGE in process.environ()
    except psutil.Error:  # gone, or another user's
        return False


def _watch(dvc: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        while dvc.is_running() and dvc.status() != psutil.STATUS_ZOMBIE:
            time.sleep(PARENT_POLL)
    os.kill(os.getpid(), signal.SIGKILL)


__all__ = ["declared", "end_with_parent", "execute", "fingerprint", "run_stage"]
