"""The world outside the DAG: what the sources hold, and which library versions are installed."""

import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from flows.dag import Dag
from flows.settings import LineSettings
from tasks.core.errors import StageError, TidegateError
from tasks.core.files import write_text
from tasks.core.line import Line
from tasks.sync import news, sync

VERSIONS = Path("versions")
RUNTIMES = {"onnxruntime": ("onnxruntime-gpu", "onnxruntime")}
"""Packages that go by another name on some platforms."""


def refresh_versions() -> list[Path]:
    """Write the installed versions into `versions/<stage>.txt`, dependencies of the stages; returns the changed files.

    Which packages a file names is committed; their versions are this environment's. Local labels (`+cpu`) are left
    out: they do not change what a stage computes.
    """
    changed = []
    for path in sorted(VERSIONS.glob("*.txt")):
        before = path.read_text(encoding="utf-8")
        names = [re.split("[=<>~! ]", line)[0] for line in before.splitlines() if line]
        after = "".join(f"{name}=={installed(name)}\n" for name in names)
        if after != before:
            write_text(path, after)
            changed.append(path)
    return changed


def installed(package: str) -> str:
    """The public version of an installed package. Raises TidegateError when it is absent."""
    for name in RUNTIMES.get(package, (package,)):
        try:
            return version(name).split("+")[0]
        except PackageNotFoundError:
            continue
    raise TidegateError(f"The package {package} is not installed. Run `make setup`.")


def has_news(line: Line, settings: LineSettings) -> bool:
    """Whether a sync would write a batch, or the inbox is absent. Cheap: it comes before every run."""
    return not line.inbox.exists() or news(line, settings.sources)


def bring_in(line: Line, settings: LineSettings, dag: Dag) -> list[Path]:
    """Take new rows of the sources into the inbox and pin it in `inbox.dvc`; returns the new batches.

    An inbox that is pinned but absent is checked out or pulled first. Where that cannot be, the sources must give the
    very same inbox again, or StageError says so: rows taken earlier would be lost without a word.
    """
    pin = line.inbox.with_name("inbox.dvc")
    absent = pin.exists() and not line.inbox.exists()
    if absent and dag.fetch(pin):
        absent = False
    batches = sync(line, settings.sources, settings.text)
    if not line.inbox.exists():
        return batches
    if absent and not dag.matches(pin):
        raise StageError(
            f"{pin} pins an inbox that is neither in the cache nor in a remote, and the sources now give another one. "
            f"Bring it with `dvc pull`, or remove {pin} to start over with what the sources give now."
        )
    if batches or not pin.exists():
        dag.add(line.inbox)
    return batches
