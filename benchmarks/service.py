"""Our service beside FastAPI and LitServe with the transformers pipeline: same texts, same machine, taken in turns.

    python benchmarks/service.py
    python benchmarks/service.py --quick
    python benchmarks/service.py --seconds 20 --rounds 3 --json service.json

Requests hold one text each. Closed loop: 1, 8, 32 and 128 callers. Open loop: requests at random moments, at rates that
are the same for all. Each round starts every contender once, one after the other. Requests per second are those of the
best round; p50, p95 and p99 are of the requests of all rounds. `req/CPU s`, requests per second of CPU time, depends
less on what else the machine does. Memory is that of all processes of a contender after the load. `overhead` is what
one caller waits beyond the same text's direct way through the model, in a process of its own.
"""

import argparse
import json
import os
import shutil
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import yaml
from load import Found, Job, apart
from processes import ROOT, await_answer, cpu_seconds, free_port, memory, service

from serving.deployment import Pointer, ServingFolder
from tasks.core.files import read_parquet
from tasks.core.line import STATE
from tasks.core.quiet import silence
from tasks.inference import Model

LINE = "sentiment"
OURS, UNBATCHED, FASTAPI, LITSERVE = "tidegate", "tidegate, batching off", "FastAPI + pipeline", "LitServe + pipeline"
CONCURRENCY = (1, 8, 32, 128)
RATES = (25, 100, 400)
QUANTILES = (0.5, 0.95, 0.99)
AIMS = {"rate": 5.0, "memory": 1 / 3, "overhead_ms": 1.5}


@dataclass
class Contender:
    """A service and what was measured of it."""

    name: str
    command: list[str]
    path: str = "/predict"
    params: dict[str, Any] = field(default_factory=dict)
    """params.yaml, where it reads one."""
    found: dict[str, list[Found]] = field(default_factory=lambda: defaultdict(list))
    """By load."""
    cpu: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Seconds, by load."""
    memory: list[dict[str, float]] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """By load: requests per second, milliseconds, failures; and the memory in MB."""
        loads = {load: _figures(runs, sum(self.cpu[load])) for load, runs in self.found.items()}
        heaviest = {name: max(weight[name] for weight in self.memory) for name in ("rss", "pss")}
        return {"loads": loads, "memory_mb": heaviest}


def _figures(runs: list[Found], cpu: float) -> dict[str, float]:
    times = np.concatenate([run.milliseconds for run in runs])
    rates = [len(run.milliseconds) / run.seconds for run in runs if run.seconds]
    p50, p95, p99 = np.quantile(times, QUANTILES) if len(times) else [float("nan")] * 3
    failed = sum(sum(run.codes.values()) - run.codes["200"] for run in runs)
    per_cpu = sum(run.answered for run in runs) / cpu
    return {
        "rate": max(rates, default=0.0), "per_cpu": per_cpu, "p50_ms": p50, "p95_ms": p95, "p99_ms": p99,
        "failed": failed,
    }  # fmt: skip


def contenders(arguments: argparse.Namespace, work: Path) -> list[Contender]:
    """All four. Ours serve the release, the others the checkpoint that it was made of."""
    folder = ServingFolder(str(work / "serving"))
    release = folder.put(LINE, arguments.release)
    folder.point(Pointer(line=LINE, release=release, variant=arguments.variant))
    checkpoint = str(arguments.checkpoint.resolve())
    rivals = ROOT / "benchmarks/rivals"
    ours = ["-m", "serving", "--folder", folder.url, "--no-log", "--port"]
    path = f"/v1/lines/{LINE}/predict"
    batches = {"max_texts": 1}
    return [
        Contender(OURS, ours, path),
        Contender(UNBATCHED, ours, path, {"lines": {LINE: {"kind": "classify"}}, "serving": {"batching": batches}}),
        Contender(FASTAPI, [str(rivals / "fastapi_pipeline.py"), checkpoint]),
        Contender(LITSERVE, [str(rivals / "litserve_pipeline.py"), checkpoint]),
    ]


def measure(contender: Contender, work: Path, texts: list[str], seconds: float, rates: tuple[int, ...]) -> None:
    """Start it, send it every load, weigh it."""
    folder = work / contender.name.replace(" ", "-")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if contender.params:
        (folder / "params.yaml").write_text(yaml.safe_dump(contender.params))
    port, log = free_port(), folder / "log"
    bodies = [json.dumps({"texts": [text]}) for text in texts]
    with service([*contender.command, str(port)], folder, log) as process:
        url = f"http://127.0.0.1:{port}{contender.path}"
        await_answer(process, "POST", url, log, bodies[0])
        contender.labels = labels(url, bodies[:200])
        loads = {f"{callers} callers": {"concurrency": callers} for callers in CONCURRENCY}
        for name, load in (loads | {f"{rate}/s": {"rate": rate} for rate in rates}).items():
            before = cpu_seconds(process.pid)
            contender.found[name].append(apart(Job(port, contender.path, bodies, seconds, **load)))
            contender.cpu[name].append(cpu_seconds(process.pid) - before)
        contender.memory.append(memory(process.pid))


def labels(url: str, bodies: list[str]) -> list[str]:
    """What is answered to single requests, for a look at whether all say the same."""
    found = []
    with httpx.Client(trust_env=False, timeout=60, headers={"Content-Type": "application/json"}) as client:
        for body in bodies:
            answer = client.post(url, content=body).raise_for_status().json()
            first = answer["predictions"][0] if isinstance(answer, dict) else answer[0][0]
            found.append(first["label"])
    return found


def overhead(
    contender: Contender, release: Path, variant: str, work: Path, texts: list[str], rounds: int
) -> dict[str, float]:
    """p50 in ms of the same texts through the model in this process, of one caller of the service, and the difference.

    Taken in turns, `rounds` times; the difference is the median of the rounds'.
    """
    model = Model.load(release, variant, threads=1)
    port, log = free_port(), work / "overhead.log"
    bodies = [json.dumps({"texts": [text]}) for text in texts]
    direct, served = [], []
    with service([*contender.command, str(port)], work, log) as process:
        await_answer(process, "POST", f"http://127.0.0.1:{port}{contender.path}", log, bodies[0])
        for _ in range(rounds):
            direct.append(float(np.median([_timed(model, text) for text in texts])))
            job = Job(port, contender.path, bodies, len(texts) * direct[0] / 1000 * 2, concurrency=1)
            served.append(float(np.median(apart(job).milliseconds)))
    figures = {"direct_ms": direct, "served_ms": served, "overhead_ms": np.subtract(served, direct)}
    return {name: float(np.median(values)) for name, values in figures.items()}


def _timed(model: Model, text: str) -> float:
    start = time.perf_counter()
    model.predict([text])
    return 1000 * (time.perf_counter() - start)


def table(measured: list[Contender]) -> str:
    """The figures of each load, beside FastAPI's rate."""
    figures = {contender.name: contender.figures() for contender in measured}
    base = figures[FASTAPI]
    width = max(map(len, figures))
    out = []
    for load in base["loads"]:
        head = f"{'req/s':>8} {'ratio':>6} {'req/CPU s':>10} {'p50 ms':>9} {'p95 ms':>9} {'p99 ms':>9} {'failed':>7}"
        out.append(f"\n{load:{width}} {head}")
        for name, found in figures.items():
            f = found["loads"][load]
            ratio = f["rate"] / base["loads"][load]["rate"]
            out.append(
                f"{name:{width}} {f['rate']:8.1f} {ratio:6.2f} {f['per_cpu']:10.1f} "
                f"{f['p50_ms']:9.1f} {f['p95_ms']:9.1f} {f['p99_ms']:9.1f} {f['failed']:7}"
            )
    known = next(contender.labels for contender in measured if contender.name == FASTAPI)
    out.append(f"\n{'memory':{width}} {'RSS MB':>8} {'PSS MB':>8} {'ratio':>6} {'same label':>11}")
    for contender in measured:
        weight = figures[contender.name]["memory_mb"]
        same = np.mean([a == b for a, b in zip(contender.labels, known, strict=True)])
        ratio = weight["pss"] / base["memory_mb"]["pss"]
        out.append(f"{contender.name:{width}} {weight['rss']:8.0f} {weight['pss']:8.0f} {ratio:6.2f} {same:11.1%}")
    return "\n".join(out)


def verdicts(measured: list[Contender], extra: dict[str, float]) -> str:
    """What was aimed at, and what came."""
    ours, base = (next(c.figures() for c in measured if c.name == name) for name in (OURS, FASTAPI))
    at32, base32 = ours["loads"]["32 callers"], base["loads"]["32 callers"]
    rate, heavy = at32["rate"] / base32["rate"], ours["memory_mb"]["pss"] / base["memory_mb"]["pss"]
    found = [
        (f"requests/s of FastAPI's at 32 callers: {rate:.2f}, aim {AIMS['rate']:g}", rate >= AIMS["rate"]),
        (f"p95 there {at32['p95_ms']:.1f} ms, FastAPI's {base32['p95_ms']:.1f} ms", at32["p95_ms"] < base32["p95_ms"]),
        (f"memory of FastAPI's: {heavy:.2f}, aim {AIMS['memory']:.2f}", heavy <= AIMS["memory"]),
        (
            f"one caller: {extra['served_ms']:.2f} ms, the model alone {extra['direct_ms']:.2f} ms, overhead "
            f"{extra['overhead_ms']:.2f} ms, aim {AIMS['overhead_ms']:g} ms",
            extra["overhead_ms"] < AIMS["overhead_ms"],
        ),
    ]
    return "\n".join(f"{'reached' if reached else 'MISSED '}  {sentence}" for sentence, reached in found)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", type=Path, default=Path("data/sentiment/release/bundle"))
    parser.add_argument("--checkpoint", type=Path, default=Path("data/sentiment/train"))
    parser.add_argument("--variant", default="int8", help="of the release (default: int8)")
    parser.add_argument("--texts", type=int, default=1000, help="of the release's test rows (default: 1000)")
    parser.add_argument("--seconds", type=float, default=15, help="per load (default: 15)")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="3 seconds per load, one round, one rate")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    arguments = parser.parse_args()
    silence()
    seconds, rounds, rates = (3, 1, RATES[1:2]) if arguments.quick else (arguments.seconds, arguments.rounds, RATES)
    rows = read_parquet(arguments.release / "reference/rows.parquet", ["text", "side"])
    texts = rows.loc[rows["side"] == "test", "text"].tolist()[: arguments.texts]
    work = ROOT / STATE / "benchmarks/service"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    measured = contenders(arguments, work)
    for _ in range(rounds):
        for contender in measured:
            measure(contender, work, texts, seconds, rates)
    extra = overhead(measured[0], arguments.release, arguments.variant, work, texts[:300], 3 if arguments.quick else 7)
    print(f"{len(texts)} texts of {np.mean([len(t.split()) for t in texts]):.0f} words, {os.cpu_count()} cores")
    print(table(measured))
    print(f"\n{verdicts(measured, extra)}")
    if arguments.json:
        content = {**{c.name: c.figures() for c in measured}, "overhead": extra}
        arguments.json.write_text(json.dumps(content, indent=2) + "\n")
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
