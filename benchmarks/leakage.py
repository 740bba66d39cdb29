"""What the search for leakage finds in public sets, what of planted copies, and what it costs.

    python benchmarks/leakage.py                       # all of it
    python benchmarks/leakage.py public --imdb 5000    # IMDB on so many rows of each side; exact copies among all
    python benchmarks/leakage.py planted
    python benchmarks/leakage.py cost

Sets are read from the folder that TIDEGATE_DATA names (default: ../shared/data), the film sentences from
data/sentiment/split/; a part whose data are absent is skipped with the reason. Each search runs in a process of its
own, whose peak memory is told.
"""

import argparse
import csv
import json
import multiprocessing
import os
import resource
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from project import KEPT, ROOT, Figures
from rich.console import Console
from rich.table import Table
from scipy.stats import binomtest

from tasks.core.errors import SourceError, TidegateError
from tasks.core.files import read_parquet, write_json
from tasks.leakage import LeakageSettings, search
from tasks.similar import near_pairs, plain
from tasks.text import TextSettings, clean, split_key

DATA = Path(os.environ.get("TIDEGATE_DATA", ROOT.parent / "shared" / "data")).resolve()
SETTINGS, POLICY = LeakageSettings(), TextSettings()
SEED = 0
LETTERS = {"chnsenticorp": "的一是不了在人有我他这为之大来以个中上们"}  # what an edit puts in; elsewhere a to z

Rows = list[tuple[str, str]]  # (text, label)


def main() -> int:
    """Run the parts that are asked for; 0 also where data are absent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; by default all of them")
    parser.add_argument("--imdb", type=int, default=25_000, help="IMDB rows of each side in the near search (all)")
    arguments = parser.parse_args()
    if strange := set(arguments.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(strange))}; parts are {', '.join(PARTS)}")
    for part in arguments.parts or PARTS:
        PARTS[part](arguments)
    return 0


def public(arguments: argparse.Namespace) -> None:
    """Copies of test in train, as the sets are published."""
    report = {}
    for name in SETS:
        rows = arguments.imdb if name == "imdb" else SETTINGS.max_rows
        report[name] = attempt(name, lambda name=name, rows=rows: apart(_public, name, rows))
    show("Copies of test rows in train", report)


def _public(name: str, rows: int) -> Figures:
    train, test = sides(name)
    start = time.perf_counter()
    leak = search(test, train, SETTINGS.model_copy(update={"max_rows": rows}))
    return {
        "test": leak.rows, "train": leak.train_rows, "exact": leak.found(exact=True),
        "other label": leak.found(exact=True, differs=True), "near": leak.found(exact=False),
        "near, other label": leak.found(exact=False, differs=True),
        "looked at": f"{leak.looked_at:,} x {leak.looked_at_in_train:,}", "seconds": time.perf_counter() - start,
    }  # fmt: skip


def planted(_: argparse.Namespace) -> None:
    """Test rows copied into train, as they are and edited: how many of them are found."""
    report: dict[str, Figures] = {}
    for name in ("film", "sst2", "chnsenticorp"):
        for share in (0.01, 0.05):
            for edit in (0.0, 0.1):
                how = f"{edit:.0%} edited" if edit else "exact"
                key = f"{name}, {share:.0%}, {how}"
                report[key] = attempt(key, lambda n=name, s=share, e=edit: apart(_planted, n, s, e))
    show("Planted copies that are found", report)


def _planted(name: str, share: float, edit: float) -> Figures:
    """Test rows that have a copy before planting, or fewer than 10 characters, are left out of the judged ones."""
    rng = np.random.default_rng(SEED)
    train, test = sides(name)
    before = search(test, train, SETTINGS)
    near = before.found(exact=False)
    test = test[~test["id"].isin(before.pairs["id"]) & (test["text"].map(len) >= 10)]
    copied = test.sample(frac=share, random_state=SEED)
    letters = LETTERS.get(name, "abcdefghijklmnopqrstuvwxyz")
    texts = [edited(text, edit, letters, rng) for text in copied["text"]]
    copies = table([(text, label) for text, label in zip(texts, copied["label"], strict=True)], "copy")
    leak = search(test, pd.concat([train, copies], ignore_index=True), SETTINGS)
    hits = len(set(leak.pairs["id"]) & set(copied["id"]))
    interval = binomtest(hits, len(copied)).proportion_ci(0.95, method="exact")
    return {
        "planted": len(copied), "found": hits, "share": hits / len(copied),
        "95 % (Clopper-Pearson)": f"{interval.low:.3f} to {interval.high:.3f}",
        "near before, in 1,000 test rows": 1000 * near / before.rows,
        "not planted, found": len(set(leak.pairs["id"]) - set(copied["id"])),
    }  # fmt: skip


def edited(text: str, share: float, letters: str, rng: np.random.Generator) -> str:
    """The text with so large a share of its characters inserted, deleted or substituted, at random places."""
    made = list(text)
    for _ in range(round(share * len(text)) or int(share > 0)):
        place, other = int(rng.integers(len(made))), letters[rng.integers(len(letters))]
        match rng.integers(3):
            case 0:
                made.insert(place, other)
            case 1 if len(made) > 1:
                del made[place]
            case _:
                made[place] = other
    return "".join(made)


def cost(_: argparse.Namespace) -> None:
    """100,000 x 10,000 short texts, distinct ones made of real ones by cutting and joining."""
    report = {name: attempt(name, lambda name=name: apart(_cost, name)) for name in ("sst2", "chnsenticorp")}
    show("Cost of the near search", report)


def _cost(name: str) -> Figures:
    train, test = ([plain(text) for text in side["text"]] for side in sides(name))
    joint = "" if name == "chnsenticorp" else " "
    many, few = enlarged(train, 100_000, joint), enlarged(test, 10_000, joint)
    start = time.perf_counter()
    pairs = near_pairs(few, many, SETTINGS)
    return {
        "texts": f"{len(many):,} x {len(few):,}", "mean characters": float(np.mean([len(text) for text in many + few])),
        "pairs": len(pairs), "seconds": time.perf_counter() - start,
    }  # fmt: skip


def enlarged(texts: list[str], rows: int, joint: str) -> list[str]:
    """So many distinct texts: these (cut to 150 characters), then halves of two of them joined."""
    rng = np.random.default_rng(SEED)
    texts = [text[:150] for text in texts]
    found = dict.fromkeys(texts)
    while len(found) < rows:
        one, other = (texts[n] for n in rng.integers(len(texts), size=2))
        found[one[: len(one) // 2] + joint + other[len(other) // 2 :]] = None
    return list(found)[:rows]


def sides(name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train and test of a set as tables. Raises SourceError when it is not there."""
    if name == "film":
        paths = [ROOT / "data" / "sentiment" / "split" / f"{side}.parquet" for side in ("train", "test")]
        if not all(path.exists() for path in paths):
            raise SourceError("data/sentiment/split is not there. Run `tidegate run sentiment --until split`.")
        train, test = map(read_parquet, paths)
        return train, test
    place, read = SETS[name]
    if not (DATA / place).exists():
        raise SourceError(f"{DATA / place} is not there. Set TIDEGATE_DATA to the folder that holds it.")
    train, test = read(DATA / place)
    return table(train, "train"), table(test, "test")


def table(rows: Rows, side: str) -> pd.DataFrame:
    """(raw text, label) as search takes them: keyed as they came, then cleaned."""
    return pd.DataFrame(
        {
            "id": [f"{side}-{n}" for n in range(len(rows))],
            "split_key": [split_key(text, POLICY.split_salt) for text, _ in rows],
            "source": side,
            "label": [label for _, label in rows],
            "text": [clean(text, POLICY) for text, _ in rows],
        }
    )


def _tsv(folder: Path) -> tuple[Rows, Rows]:
    """A header, then label and text (chnsenticorp, sst2)."""
    train, test = (
        [tuple(line.split("\t", 1)[::-1]) for line in (folder / f"{side}.tsv").read_text("utf-8").splitlines()[1:]]
        for side in ("train", "test")
    )
    return train, test  # type: ignore[return-value]


def _banking(folder: Path) -> tuple[Rows, Rows]:
    found: list[Rows] = []
    for side in ("train", "test"):
        with (folder / f"{side}.csv").open(encoding="utf-8", newline="") as stream:
            found.append([(row["text"], row["category"]) for row in csv.DictReader(stream)])
    return found[0], found[1]


def _clinc(folder: Path) -> tuple[Rows, Rows]:
    content = json.loads((folder / "data_full.json").read_text("utf-8"))
    train, test = ([(text, label) for text, label in content[side]] for side in ("train", "test"))
    return train, test


def _imdb(archive: Path) -> tuple[Rows, Rows]:
    """The official sides: train and val are the 25,000 of train."""
    found: dict[bool, dict[str, tuple[str, str]]] = {True: {}, False: {}}
    with tarfile.open(archive) as members:
        for member in members:
            path = Path(member.name)
            if member.isfile() and path.suffix == ".txt" and (stream := members.extractfile(member)):
                side, label = path.parts[-3:-1]
                found[side == "test"][member.name] = stream.read().decode("utf-8"), label
    train, test = ([rows[name] for name in sorted(rows)] for rows in (found[False], found[True]))
    return train, test


SETS: dict[str, tuple[str, Callable[[Path], tuple[Rows, Rows]]]] = {
    "chnsenticorp": ("chnsenticorp", _tsv),
    "sst2": ("sst2_glue", _tsv),
    "banking77": ("banking77", _banking),
    "clinc150": ("clinc150", _clinc),
    "imdb": ("imdb/aclImdb_by_file.tar.gz", _imdb),
}
PARTS = {"public": public, "planted": planted, "cost": cost}


def apart(work: Callable[..., Figures], *given: Any) -> Figures:
    """What `work` finds in a fresh process, with that process's CPU time and peak memory."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measured, (work, given))


def _measured(work: Callable[..., Figures], given: tuple[Any, ...]) -> Figures:
    figures = work(*given)
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {**figures, "CPU s, reading too": used.ru_utime + used.ru_stime, "peak MB": used.ru_maxrss / 1024}


def attempt(name: str, work: Callable[[], Figures]) -> Figures:
    """The figures, or why there are none."""
    try:
        return work()
    except TidegateError as error:
        print(f"{name} skipped: {error}")
        return {}


def show(title: str, report: dict[str, Figures]) -> None:
    """Print a table and write it to .tidegate/benchmarks/."""
    report = {name: figures for name, figures in report.items() if figures}
    if not report:
        return
    columns = list(next(iter(report.values())))
    grid = Table(title=title, title_justify="left")
    grid.add_column("set")
    for column in columns:
        grid.add_column(column, justify="right")
    for name, figures in report.items():
        grid.add_row(name, *(_told(figures[column]) for column in columns))
    Console(width=max(Console().width, 140)).print(grid)
    write_json(KEPT / f"leakage-{title.split()[0].lower()}.json", report)


def _told(value: Any) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}" if value < 10 else f"{value:,.1f}"


if __name__ == "__main__":
    sys.exit(main())
