"""`tidegate ps`: what `tidegate up` runs on this machine."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from flows import running

UNWELL = {"starting": "starting", "runs": "no answer", "waits": "died; starts again", "ended": "ended"}


def show() -> int:
    """Print a row per program; 0 where all are well, 1 where one is not, or nothing runs."""
    up = running.found()
    if up is None:
        Console().print("Nothing runs here. `tidegate up` starts everything.")
        return 1
    table = Table("what", "state", "pid", "since", "restarts", "address")
    now = datetime.now(UTC)
    with ThreadPoolExecutor(max(1, len(up.programs))) as pool:
        states = list(pool.map(running.well, up.programs))
    for program, well in zip(up.programs, states, strict=True):
        table.add_row(
            program.name, "well" if well else UNWELL[program.state], str(program.pid or ""),
            ago(int((now - program.since).total_seconds())) if program.since else "",
            str(program.restarts), program.address or "",
        )  # fmt: skip
    Console().print(table, f"Logs: {running.LOGS}/")
    return 0 if all(states) else 1


def ago(seconds: int) -> str:
    """`2 d 3 h`, `5 min`, `12 s`."""
    for size, unit, smaller, below in ((86400, "d", 3600, "h"), (3600, "h", 60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} {seconds % size // smaller} {below}"
    return f"{seconds // 60} min" if seconds >= 60 else f"{seconds} s"
