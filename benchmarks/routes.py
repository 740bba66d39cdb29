"""Requests per second of the routes that give more than a label: a product's answers, and lists of items.

    make run LINE=support_answer && make run LINE=recommend && python benchmarks/routes.py
    python benchmarks/routes.py --seconds 20

One service with the prediction log on serves both releases. Requests hold one question, or one history, of the
releases' own test rows. Closed loop: 1, 8 and 32 callers on this machine. A question goes through the encoder and the
search of the base; a history through the user tower, the choice of ten items, and the reasons of each.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import yaml
from load import Job, apart
from processes import ROOT, await_answer, cpu_seconds, free_port, service
from rich.console import Console
from rich.table import Table

from serving.deployment import Pointer, ServingFolder
from tasks.bundle import read_manifest
from tasks.core.files import read_parquet
from tasks.kinds.rank.shared import history

ANSWERS, ITEMS, PRODUCT = "support_answer", "recommend", "support"
CALLERS = (1, 8, 32)
PARAMS = {
    "lines": {ANSWERS: {"kind": "retrieve"}, ITEMS: {"kind": "rank"}},
    "products": {PRODUCT: {"kind": "answer", "title": "Support", "answers": ANSWERS}},
}


def main() -> int:
    """Measure and print; 1 where a release is missing."""
    arguments = parser().parse_args()
    bundles = {line: ROOT / "data" / line / "release/bundle" for line in (ANSWERS, ITEMS)}
    for line, bundle in bundles.items():
        if not (bundle / "manifest.json").exists():
            print(f"There is no release of {line}: `make run LINE={line}` makes one.", file=sys.stderr)
            return 1
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        (work / "params.yaml").write_text(yaml.safe_dump(PARAMS), encoding="utf-8")
        folder = ServingFolder(str(work / "serving"))
        for line, bundle in bundles.items():
            variant = read_manifest(bundle).admissible[0]
            folder.point(Pointer(line=line, release=folder.put(line, bundle), variant=variant))
        Console(width=120).print(measured(work, folder, bodies(bundles), arguments.seconds))
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--seconds", type=float, default=10.0, help="of each load")
    return made


def bodies(bundles: dict[str, Path]) -> dict[str, list[str]]:
    """The requests by path."""
    texts = {}
    for line, bundle in bundles.items():
        rows = read_parquet(bundle / "reference/rows.parquet", ["text", "side"])
        texts[line] = rows.loc[rows["side"] == "test", "text"].tolist()
    histories = [[{"item": item, "rating": rating} for item, rating in history.read(text)] for text in texts[ITEMS]]
    return {
        f"/v1/products/{PRODUCT}/answer": [json.dumps({"text": text}) for text in texts[ANSWERS]],
        f"/v1/lines/{ITEMS}/recommend": [json.dumps({"histories": [events]}) for events in histories],
    }


def measured(work: Path, folder: ServingFolder, asked: dict[str, list[str]], seconds: float) -> Table:
    """Every load on every route."""
    table = Table("route", "callers", "requests/s", "requests/CPU s", "p50 ms", "p95 ms", "p99 ms", "failed")
    port, log = free_port(), work / "log"
    with service(["-m", "serving", "--folder", folder.url, "--port", str(port)], work, log) as process:
        await_answer(process, "GET", f"http://127.0.0.1:{port}/v2/health/ready", log)
        for path, sent in asked.items():
            for callers in CALLERS:
                before = cpu_seconds(process.pid)
                found = apart(Job(port, path, sent, seconds, concurrency=callers))
                spent = cpu_seconds(process.pid) - before
                failed = sum(found.codes.values()) - found.codes["200"]
                times = np.quantile(found.milliseconds, (0.5, 0.95, 0.99)) if found.milliseconds else [np.nan] * 3
                rate = len(found.milliseconds) / found.seconds
                told = (f"{rate:.0f}", f"{found.answered / spent:.0f}", *(f"{one:.1f}" for one in times), str(failed))
                table.add_row(path, str(callers), *told)
    return table


if __name__ == "__main__":
    sys.exit(main())
