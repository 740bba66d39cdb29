"""Minutes of mixed load on the real service, while everything happens that may happen to it.

    python benchmarks/soak.py                # half an hour
    python benchmarks/soak.py --minutes 2

Two lines are asked in requests of 1 to 200 texts, some of them bad, some followed by feedback. Every 20 seconds another
release is deployed; now and then one with a wrong byte. PostgreSQL is stopped and started. The supervised service is
restarted at SIGHUP. Each answer is held against what its release says of that text alone: to three digits on the line
that is swapped, which serves fp32; int8 on the other line depends on what is computed together. At the end the service
is stopped and the log counted; then it is killed in mid-work, its spool torn, and the log counted again.

Prints what is claimed and what was seen; ends with 1 where a claim fails. Needs Debian's postgresql.
"""

import argparse
import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from callers import Callers, Known, Tally
from processes import ROOT, await_answer, end, free_port, memory, service

sys.path.insert(0, str(ROOT))  # before tests/, which has a folder `serving` as well
sys.path.append(str(ROOT / "tests"))  # the same PostgreSQL and the same second release as theirs
import postgres
from made import resealed
from releases import flipped

from serving.deployment import Pointer, ServingFolder
from serving.log.settings import URL
from tasks.bundle import release_id
from tasks.core.files import read_parquet
from tasks.core.line import STATE
from tasks.core.quiet import silence

LINE, OTHER = "sentiment", "opinion"
GROWTH = 0.05  # of the memory, from the beginning of its window to the end
WINDOW = (0.2, 0.95)  # of the run: what memory is looked at; the process is the same all that time
SETTLING_SECONDS = 300.0  # before the window begins, in a run that is long enough
JUDGED_SECONDS = 900.0  # below that the memory is still finding its level
DRAIN_SECONDS = 120.0
SAMPLE_SECONDS = 2.0
KILLED_AFTER_SECONDS = 5.0

Action = Callable[[], Awaitable[None]]
Claims = list[tuple[str, bool]]


@dataclass
class World:
    """What the service stands on, and what happens to it."""

    work: Path
    folder: ServingFolder
    database: postgres.Server
    port: int
    releases: tuple[str, str]
    """Of the line that is swapped."""
    bad: str
    """A release with a wrong byte."""
    current: str = ""
    swaps: list[float] = field(default_factory=list)
    """Seconds until the first answer of the new release."""
    refusals: int = 0
    faults: list[str] = field(default_factory=list)

    def point(self, release: str) -> None:
        """Deploy a release of the line."""
        self.folder.point(Pointer(line=LINE, release=release, variant="fp32"))

    def ask(self, path: str) -> httpx.Response:
        """GET."""
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=30, trust_env=False)

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have the labels."""
        from prometheus_client.parser import text_string_to_metric_families

        samples = [s for family in text_string_to_metric_families(self.ask("/metrics").text) for s in family.samples]
        return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())

    async def swap(self, tally: Tally) -> None:
        """Deploy the other release, and wait until it answers."""
        new = next(release for release in self.releases if release != self.current)
        begin = time.monotonic()
        self.point(new)
        self.current = new
        if await _until(lambda: tally.seen.get(new, 0.0) > begin + 0.001, 60):
            self.swaps.append(time.monotonic() - begin)
        else:
            self.faults.append(f"release {new} did not answer within 60 s")

    async def offer_bad(self) -> None:
        """Deploy the release with a wrong byte, see it refused, and deploy what served before."""
        self.point(self.bad)

        def refused() -> bool:
            return self.bad in str(self.ask(f"/v1/lines/{LINE}").json().get("refused"))

        if await _until(refused, 60):
            self.refusals += 1
        else:
            self.faults.append("the release with a wrong byte was not refused within 60 s")
        self.point(self.current)


async def _until(reached: Callable[[], bool], seconds: float) -> bool:
    end_at = time.monotonic() + seconds
    while time.monotonic() < end_at:
        if await asyncio.to_thread(reached):
            return True
        await asyncio.sleep(0.1)
    return False


def prepare(bundle: Path, work: Path, texts: list[str]) -> tuple[World, dict[str, dict[str, Known]]]:
    """Releases and their answers, serving folder, database. The second release says the opposite of the first."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    opposite = flipped(bundle, work / "opposite")
    bad, other = (Path(shutil.copytree(bundle, work / name)) for name in ("bad", "other"))
    (bad / "MODEL_CARD.md").write_text("A release of its own.\n")
    resealed(bad)
    resealed(other, line=OTHER)
    folder = ServingFolder(str(work / "serving"))
    ids = {name: folder.put(LINE, path) for name, path in (("first", bundle), ("opposite", opposite), ("bad", bad))}
    folder.put(OTHER, other)
    _turn_a_byte(Path(folder.root) / LINE / "releases" / ids["bad"] / "fp32.onnx")
    known = {
        LINE: {ids["first"]: Known.of(bundle, "fp32", texts), ids["opposite"]: Known.of(opposite, "fp32", texts)},
        OTHER: {release_id(other): Known.of(other, "int8", texts)},
    }
    folder.point(Pointer(line=OTHER, release=release_id(other), variant="int8"))
    releases = (ids["first"], ids["opposite"])
    world = World(work, folder, postgres.Server(), free_port(), releases, ids["bad"], current=ids["first"])
    world.point(world.current)
    return world, known


def _turn_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def schedule(world: World, tally: Tally, pid: int, seconds: float, every: float) -> list[tuple[float, Action]]:
    """What happens when, as (second, action): one thing at a time, and no restart in memory's window."""

    async def restart() -> None:
        os.kill(pid, signal.SIGHUP)

    begin, finish = window(seconds)
    actions: list[tuple[float, Action]] = [(begin * 0.4, restart), (begin * 0.8, restart), (finish + 1, restart)]
    for start in (0.35, 0.65):
        length = min(60.0, 0.1 * seconds)
        actions += [(start * seconds, partial(asyncio.to_thread, world.database.stop))]
        actions += [(start * seconds + length, partial(asyncio.to_thread, world.database.start))]
    for number in range(1, int(finish / every)):
        actions.append((number * every, world.offer_bad if number % 5 == 3 else partial(world.swap, tally)))
    return sorted(actions, key=lambda action: action[0])


def window(seconds: float) -> tuple[float, float]:
    """The seconds between which memory is looked at."""
    return min(SETTLING_SECONDS, WINDOW[0] * seconds), WINDOW[1] * seconds


async def happen(actions: list[tuple[float, Action]], begin: float) -> None:
    """Do everything at its time, or as soon as what came before is over."""
    for at, action in actions:
        await asyncio.sleep(begin + at - time.monotonic())
        await action()


async def weigh(pid: int, begin: float, found: list[tuple[float, float]]) -> None:
    """Note the memory of all processes, for ever."""
    while True:
        weight = await asyncio.to_thread(memory, pid)
        found.append((time.monotonic() - begin, weight["pss"]))
        await asyncio.sleep(SAMPLE_SECONDS)


async def live(world: World, callers: Callers, pid: int, seconds: float, every: float) -> list[tuple[float, float]]:
    """The main part; returns MB by second."""
    begin = time.monotonic()
    weights: list[tuple[float, float]] = []
    actions = schedule(world, callers.tally, pid, seconds, every)
    weighing = asyncio.create_task(weigh(pid, begin, weights))
    acting = asyncio.create_task(happen(actions, begin))
    await callers.run(lambda: acting.done() and time.monotonic() > begin + seconds)
    await acting
    weighing.cancel()
    return weights


def growth(weights: list[tuple[float, float]], seconds: float) -> float:
    """Of the memory: the median of the last quarter of its window against that of the first."""
    begin, finish = window(seconds)
    inside = [weight for at, weight in weights if begin + 5 < at < finish]
    quarter = max(1, len(inside) // 4)
    return float(np.median(inside[-quarter:]) / np.median(inside[:quarter])) - 1


def by_minute(weights: list[tuple[float, float]]) -> list[float]:
    """The median MB of each minute."""
    return [
        float(np.median([weight for at, weight in weights if at // 60 == minute]))
        for minute in sorted({at // 60 for at, _ in weights})
    ]


def logged(url: str) -> tuple[dict[str, int], int]:
    """Rows of the log by request id, and rows of feedback."""
    from sqlalchemy import func, select

    from serving.log.database import open_database
    from serving.log.tables import feedback, predictions

    engine = open_database(url)
    with engine.connect() as connection:
        query = select(predictions.c.request_id, func.count()).where(predictions.c.role == "champion")
        rows = connection.execute(query.group_by(predictions.c.request_id))
        counted = {str(request): int(count) for request, count in rows}
        labels = connection.execute(select(func.count()).select_from(feedback)).scalar_one()
    engine.dispose()
    return counted, labels


def losses(url: str) -> int:
    """Records that the log knows to be lost."""
    from serving.log.database import open_database
    from serving.log.summary import lost

    engine = open_database(url)
    try:
        return sum(lost(engine).values())
    finally:
        engine.dispose()


def start(world: World, *options: str) -> Any:
    """The service, once it is ready."""
    command = ["-m", "serving", *options, "--folder", world.folder.url, "--port", str(world.port)]
    return service(command, world.work, world.work / "service.log")


def ready(world: World, process: Any) -> None:
    """Wait until it is."""
    await_answer(process, "GET", f"http://127.0.0.1:{world.port}/v2/health/ready", world.work / "service.log")


def soak(world: World, callers: Callers, url: str, seconds: float, every: float) -> Claims:
    """The main part, a clean stop, and the count."""
    with start(world, "--supervised") as process:
        ready(world, process)
        weights = asyncio.run(live(world, callers, process.pid, seconds, every))
        code = end(process)
    tally, grown = callers.tally, growth(weights, seconds)
    judged = seconds >= JUDGED_SECONDS
    rows, labels = logged(url)
    missing = sum(count != rows.get(request) for request, count in tally.texts.items())
    print(f"answers by code: {dict(tally.codes)}; sent again on a closed idle connection: {tally.again}")
    print(f"swaps took {np.median(world.swaps):.1f} s, {max(world.swaps):.1f} s at most; log: {world.work}/service.log")
    print("\n".join([*tally.wrong[:5], *tally.failed[:5], *world.faults]))
    print("MB by minute:", *(f"{weight:.0f}" for weight in by_minute(weights)))
    texts = sum(tally.texts.values())
    return [
        (f"wrong answers: {len(tally.wrong)} of {texts:,} texts", not tally.wrong),
        (f"failed requests: {len(tally.failed)} of {sum(tally.codes.values()):,}", not tally.failed),
        (f"swaps that were not taken up, bad releases not refused: {len(world.faults)}", not world.faults),
        (f"swaps: {len(world.swaps)}, bad releases refused: {world.refusals}", bool(world.swaps and world.refusals)),
        (
            f"memory: {grown:+.1%} in its window, at most {GROWTH:+.0%}"
            + ("" if judged else " (not judged: too short)"),
            grown < GROWTH or not judged,
        ),
        (f"exit code after SIGTERM: {code}", code == 0),
        (f"answered requests that the log has not, or not once: {missing} of {len(tally.texts):,}", not missing),
        (f"true labels logged: {labels:,} of {tally.feedback:,}", labels == tally.feedback),
        (f"records lost by the log's count: {losses(url)}", not losses(url)),
    ]


def kill(world: World, callers: Callers, url: str) -> Claims:
    """Kill it while the database is down, tear the spool, and hold the count of what was lost against the log."""
    callers.tally, callers.forgiving, callers.plain = Tally(), True, True
    world.database.stop()
    with start(world) as process:
        ready(world, process)
        begin = time.monotonic()

        async def until_killed() -> None:
            callers_run = asyncio.create_task(callers.run(lambda: False))
            await asyncio.sleep(begin + KILLED_AFTER_SECONDS - time.monotonic())
            os.killpg(process.pid, signal.SIGKILL)
            await callers_run

        asyncio.run(until_killed())
    spool = world.work / ".tidegate/predictions"
    whole = _tear(spool)
    world.database.start()
    with start(world) as process:
        ready(world, process)
        drained = asyncio.run(_until(lambda: len(list(spool.glob("v1-*"))) == 1, DRAIN_SECONDS))
        told = int(world.metric("tidegate_spool_lost_total"))
        code = end(process)
    tally, (rows, _), lost = callers.tally, logged(url), losses(url)
    missing = sum(count != rows.get(request) for request, count in tally.texts.items())
    said = f"lost by the log's count {lost}, by /metrics {told}; answered and not in the log {missing}"
    right = told == lost and missing <= lost <= missing + tally.unanswered
    return [
        (f"killed, spool torn at half of {whole:,} bytes: {said}, unanswered {tally.unanswered}", right),
        (
            f"what the killed process left is drained: {drained}; wrong answers: {len(tally.wrong)}",
            drained and not tally.wrong,
        ),
        (f"exit code after SIGTERM: {code}", code == 0),
    ]


def _tear(spool: Path) -> int:
    """Cut the newest segment in half, as a machine does that dies before its disk has all; the bytes it had."""
    newest = max(spool.glob("*/*.spool"), key=lambda path: path.stat().st_mtime)
    whole = newest.stat().st_size
    os.truncate(newest, whole // 2)
    return whole


def main() -> int:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", type=Path, default=Path("data/sentiment/release/bundle"))
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--swap-seconds", type=float, default=20, help="between two deployments (default: 20)")
    parser.add_argument("--callers", type=int, default=8)
    parser.add_argument("--texts", type=int, default=300, help="of the release's test rows (default: 300)")
    parser.add_argument("--work", type=Path, default=ROOT / STATE / "benchmarks/soak", help="folder, made anew")
    arguments = parser.parse_args()
    silence()
    if postgres.programs() is None:
        parser.error("there is no PostgreSQL here; apt-get install postgresql")
    rows = read_parquet(arguments.release / "reference/rows.parquet", ["text", "side"])
    texts = rows.loc[rows["side"] == "test", "text"].tolist()[: arguments.texts]
    world, known = prepare(arguments.release, arguments.work.resolve(), texts)
    try:
        url = os.environ[URL] = world.database.url()
        callers = Callers(world.port, known, texts, arguments.callers)
        claims = soak(world, callers, url, 60 * arguments.minutes, arguments.swap_seconds)
        claims += kill(world, callers, url)
    finally:
        world.database.stop()
        shutil.rmtree(world.database.folder)
    print("\n".join(f"{'holds' if held else 'FAILS'}  {sentence}" for sentence, held in claims))
    return 0 if all(held for _, held in claims) else 1


if __name__ == "__main__":
    sys.exit(main())
