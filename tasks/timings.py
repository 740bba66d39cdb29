"""How fast the variants are on this machine, measured in a process of their own. No stage depends on it."""

import multiprocessing
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from tasks.core.line import Line
from tasks.inference import Model, Signature

SINGLE = 200  # requests of one text
MOST = 500  # texts of the throughput


def timings(line: Line, signature: Signature, texts: Sequence[str]) -> dict[str, Any]:
    """For each variant: p50 and p95 of single requests in ms, texts per second in batches, peak memory in MB.

    Each variant gets a fresh process, so that one's memory is not counted for another.
    """
    found: dict[str, Any] = {"texts": min(len(texts), MOST)}
    spawn = multiprocessing.get_context("spawn")
    for variant in sorted(signature.variants):
        with ProcessPoolExecutor(1, mp_context=spawn) as pool:
            paths = (line.folder / "export/variants", line.file("train", "tokenizer.json"))
            found[variant] = pool.submit(measure, *paths, signature, variant, list(texts[:MOST])).result()
    return found


def measure(variants: Path, tokenizer: Path, signature: Signature, variant: str, texts: list[str]) -> dict[str, float]:
    """The figures of one variant, in this process."""
    model = Model.open(variants, tokenizer, signature, variant)
    singles = [texts[n] for n in np.linspace(0, len(texts) - 1, SINGLE).astype(int)]
    for text in singles[:20]:
        model.predict([text], cleaned=True)
    seconds = []
    for text in singles:
        start = time.perf_counter()
        model.predict([text], cleaned=True)
        seconds.append(time.perf_counter() - start)
    start = time.perf_counter()
    model.kept(texts, cleaned=True)
    rate = len(texts) / (time.perf_counter() - start)
    p50, p95 = np.quantile(seconds, [0.5, 0.95]) * 1000
    return {
        "p50_ms": round(float(p50), 3),
        "p95_ms": round(float(p95), 3),
        "texts_per_second": round(rate, 1),
        "peak_memory_mb": round(peak_memory() / 1e6, 1),
    }


def peak_memory() -> int:
    """Most bytes that this process held at once. Not `ru_maxrss` on Linux: a child starts with its parent's there."""
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(row.split()[1]) for row in status.read_text().splitlines() if row.startswith("VmHWM")) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
