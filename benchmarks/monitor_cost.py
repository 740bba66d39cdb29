"""What a look of `tidegate monitor` costs: seconds and peak memory by the rows of its window."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from project import KEPT, ROOT

from flows import registry
from flows.observations import latest
from flows.record import Record
from flows.store import STORE
from serving.log.database import connected, migrate, writing
from serving.log.record import Answered, Feedback
from serving.log.rows import Encoder
from serving.log.settings import LogSettings
from serving.log.store import Batch, insert
from serving.log.store import Record as Logged
from tasks.bundle import release_id
from tasks.core.files import read_parquet, sha256

LINE, VERSION, VARIANT = "sentiment", "v0.1.0", "int8"
PER_REQUEST, PER_BATCH = 10, 2_000
LABELLED = 0.1
GIT = ("-c", "user.name=Benchmark", "-c", "user.email=benchmark@localhost")


class _Spool:
    """Where rows come from that no process has spooled."""

    name, settled, torn = "benchmark", 0, False


def measured(release: Path, sizes: tuple[int, ...]) -> list[dict[str, str]]:
    """A look at the last rows of a log that grows from size to size; the figures of each."""
    folder = KEPT / "monitor-cost"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    found, logged = [], 0
    with contextlib.chdir(folder):
        _project(release)
        for size in sizes:
            _log(STORE / LINE / release_id(release), logged, size)
            logged = size
            found.append(_look(size))
    shutil.rmtree(folder)
    return found


def _project(release: Path) -> None:
    """A repository in which the release is champion; the release store knows it."""
    for file in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / file, ".")
    Path(".gitignore").write_text(".tidegate/\n")
    name = release_id(release)
    shutil.copytree(release, STORE / LINE / name)
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "A project to measure"]):
        subprocess.run(["git", *GIT, *command], check=True)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    record = Record(
        action="promotion", line=LINE, version=VERSION, release=name, manifest_sha256=sha256(release / "manifest.json"),
        variant=VARIANT, by="Benchmark", email="benchmark@localhost", proof="none", why="to be measured", time=now,
    )  # fmt: skip
    registry.register(record, "HEAD")
    registry.assign(record)


def _log(bundle: Path, begin: int, end: int) -> None:
    """Rows `begin` to `end` of a log: the release's own answers to its reference rows, a tenth with a label."""
    settings = LogSettings()
    rows = read_parquet(bundle / "reference" / "rows.parquet")
    answers = read_parquet(bundle / "reference" / f"{VARIANT}.parquet")
    with connected(settings.database()) as engine:
        migrate(engine)
        for start in range(begin, end, PER_BATCH):
            records = [Logged(n, one) for n, one in enumerate(_records(settings, rows, answers, start, bundle.name), 1)]
            with writing(engine).begin() as connection:
                insert(connection, _Spool(), Batch.of(records))


def _records(
    settings: LogSettings, rows: pd.DataFrame, answers: pd.DataFrame, begin: int, release: str
) -> Iterator[bytes]:
    rng = np.random.default_rng(begin)
    encoder, now = Encoder(settings), datetime.now(UTC)
    for first in range(begin, begin + PER_BATCH, PER_REQUEST):
        places = rng.integers(0, len(rows), PER_REQUEST)
        said = answers.iloc[places]
        yield encoder.answers(
            Answered(
                request_id=f"request-{first}", time=now, line=LINE, release=release, variant=VARIANT, role="champion",
                source="benchmark", texts=rows["text"].iloc[places].tolist(),
                labels=said["predicted"].tolist(), probabilities=_stacked(said["probabilities"]),
                embeddings=_stacked(said["embedding"]), latency_ms=float(rng.gamma(4, 1)),
            )
        )  # fmt: skip
        labels = rows["label"].iloc[places].tolist()
        for position in np.flatnonzero(rng.random(PER_REQUEST) < LABELLED).tolist():
            later = now + timedelta(microseconds=first + position)
            yield encoder.feedback(Feedback(f"request-{first}", position, LINE, labels[position], later, "benchmark"))


def _stacked(column: "pd.Series[Any]") -> Any:
    return np.stack(column.tolist()).astype(np.float32)


def _look(size: int) -> dict[str, str]:
    """`tidegate monitor` in a process of its own. Raises RuntimeError where it could not look."""
    command = [sys.executable, "-m", "flows.cli", "monitor", LINE, "--rows", str(size)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    start = time.perf_counter()
    with Path("monitor.out").open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        peak, ended = 0, 0
        while not ended:
            time.sleep(0.05)
            peak = max(peak, _high_water(process.pid))
            ended, status, used = os.wait4(process.pid, os.WNOHANG)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - start
    seen = latest(LINE)
    if process.returncode not in (0, 3) or seen is None:
        told = Path("monitor.out").read_text()[-2000:]
        raise RuntimeError(f"tidegate monitor ended with {process.returncode}: {told}")
    megabytes = Path(LogSettings().url.removeprefix("sqlite:///")).stat().st_size / 2**20
    return {
        "logged rows": f"{size:,}", "labelled": f"{seen.labelled:,}", "log MB": f"{megabytes:.0f}",
        "seconds": f"{seconds:.1f}", "CPU seconds": f"{used.ru_utime + used.ru_stime:.1f}",
        "peak MB": f"{peak / 1024:.0f}", "severity": seen.severity,
    }  # fmt: skip


def _high_water(pid: int) -> int:
    """Kilobytes that a process has held at most; what the system says at its end counts its parent's as well."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0
