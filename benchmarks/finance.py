"""What the lines of the product finance reach, by their own recipes, through the real stages train and evaluate.

    python benchmarks/finance.py r8                       # Reuters R8 in the published sides of the ModApte split
    python benchmarks/finance.py phrasebank               # all 4,846 sentences of Financial PhraseBank, 5 folds
    python benchmarks/finance.py allagree --folds 1       # the 2,264 on which all agree, the first fold alone
    python benchmarks/finance.py r8 --set max_length=128

R8 comes from the package index; PhraseBank is read from the folder that TIDEGATE_DATA names (default: ../shared/data).
Folds are stratified by label, drawn by seed 0; texts that repeat each other stay together. Finished folds are kept in
.tidegate/benchmarks/figures.json by params, code and data.
"""

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from corpora import Corpus
from project import KEPT, ROOT, Figures, measured

from tasks.core.errors import SourceError, TidegateError
from tasks.core.files import read_json, write_json
from tasks.core.quiet import silence
from tasks.core.settings import line_params, parse, read_params
from tasks.rows import LABELED
from tasks.sources import parse_sources
from tasks.text import TextSettings, clean, split_key

FOLDS = 5
VALIDATION = 0.1  # of the training side: it stops the training and fits the calibration
FILES = {"phrasebank": "Sentences_50Agree.txt", "allagree": "Sentences_AllAgree.txt"}
AIMS = {"r8": 0.975, "phrasebank": 0.86, "allagree": 0.96}


def main() -> int:
    """Measure one set; 0 also where its data are absent and it is skipped."""
    silence()
    arguments = parser().parse_args()
    try:
        with contextlib.chdir(ROOT):
            report = run(arguments)
    except SourceError as error:
        print(f"skipped: {error}")
        return 0
    except TidegateError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    write_json(KEPT / f"finance-{arguments.set_name}.json", report)
    show(report)
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("set_name", metavar="SET", choices=AIMS)
    made.add_argument("--folds", type=int, default=FOLDS, choices=range(1, FOLDS + 1), help=f"of {FOLDS}")
    made.add_argument("--rows", type=int, help="train on so many rows alone: a proof that all works, no result")
    made.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="another setting of train")
    return made


def run(arguments: argparse.Namespace) -> Figures:
    """Every fold of a set (R8 has one); the report that is shown and written."""
    name = arguments.set_name
    params = _params("finance_topic" if name == "r8" else "finance_sentiment")
    for given in arguments.set:
        key, _, value = given.partition("=")
        params["train"][key] = yaml.safe_load(value)
    frame = r8(params) if name == "r8" else phrasebank(name, params)
    labels = params["label"]["labels"]
    blocks = {key: params[key] for key in ("kind", "train", "evaluate")}
    runs = {}
    for n, corpus in enumerate([sides(frame, labels)] if name == "r8" else folds(frame, labels, arguments.folds)):
        corpus = corpus.sample(train=arguments.rows)
        with tempfile.TemporaryDirectory() as folder:
            corpus.write(Path(folder))
            Path(folder, "behaviour.yaml").write_text("[]\n")
            runs[str(n)] = measured(f"finance_{name}", blocks, Path(folder), ("train", "evaluate"), figures)
        print(f"{name}, fold {n}: {runs[str(n)]}", file=sys.stderr)
    return {"set": name, "rows": len(frame), "runs": runs, "params": blocks, "aim": AIMS[name], "of": arguments.rows}


def _params(line: str) -> dict[str, Any]:
    """The line's block of params.yaml, or of examples/finance.yaml where it is none of this project's lines."""
    params = read_params()
    known = params if line in params["lines"] else read_params(Path("examples/finance.yaml"))
    return line_params(known, line)


def figures(data: Path) -> Figures:
    """What evaluate found."""
    metrics = read_json(data / "evaluate" / "metrics.json")
    return {name: metrics[name] for name in ("accuracy", "accuracy_low", "accuracy_high", "f1_macro", "rows")}


def r8(params: dict[str, Any]) -> pd.DataFrame:
    """The rows of both published sides, by the line's own sources; `source` is the side."""
    parts = []
    for source in parse_sources(params, "finance_topic"):
        (piece,) = source.look()  # type: ignore[union-attr]
        with source.open(piece) as opened:  # type: ignore[union-attr]
            parts += [(source.name, table.to_pandas()) for table in source.rows(opened, piece.uri)]  # type: ignore[union-attr]
    rows = [(side, row.text, row.label) for side, table in parts for row in table.itertuples()]
    return _table(rows, params)


def phrasebank(name: str, params: dict[str, Any]) -> pd.DataFrame:
    """The sentences of one level of agreement. Raises SourceError where they are not there."""
    data = Path(os.environ.get("TIDEGATE_DATA", ROOT.parent / "shared" / "data")).resolve()
    path = data / "financial_phrasebank" / FILES[name]
    if not path.exists():
        raise SourceError(f"{path} is not there. Set TIDEGATE_DATA to the folder that holds financial_phrasebank.")
    lines = path.read_text(encoding="latin-1").splitlines()
    return _table([("phrasebank", *line.rsplit("@", 1)) for line in lines], params)


def _table(rows: list[tuple[str, str, str]], params: dict[str, Any]) -> pd.DataFrame:
    """(source, raw text, label) as tasks.rows.LABELED, texts cleaned by the line's policy."""
    text = parse(TextSettings, params["text"], "text")
    content = {
        "id": [f"{source}-{n:05}" for n, (source, _, _) in enumerate(rows)],
        "text": [clean(raw, text) for _, raw, _ in rows],
        "source": [source for source, _, _ in rows],
        "split_key": [split_key(raw, text.split_salt) for _, raw, _ in rows],
        "label": [label for _, _, label in rows],
        "decided_by": "column",
        "ambiguous": False,
    }
    return pd.DataFrame(content).reindex(columns=LABELED.names).astype({"created_at": "datetime64[us, UTC]"})


def sides(frame: pd.DataFrame, labels: list[str]) -> Corpus:
    """R8 with its own test side, whole; training texts that stand in it are left out and counted."""
    test = frame[frame["source"] == "test"]
    return _corpus(frame[frame["source"] == "train"], test, labels)


def folds(frame: pd.DataFrame, labels: list[str], most: int) -> list[Corpus]:
    """Train and test of each fold."""
    from sklearn.model_selection import StratifiedGroupKFold

    splits = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    made = splits.split(frame, frame["label"], frame["split_key"])
    return [_corpus(frame.iloc[train], frame.iloc[test], labels) for train, test in list(made)[:most]]


def _corpus(train: pd.DataFrame, test: pd.DataFrame, labels: list[str]) -> Corpus:
    same = train["split_key"].isin(test["split_key"])
    train = train[~same]
    place = np.array([int(key[:8], 16) / 16**8 for key in train["split_key"]])
    parts = {"train": train[place >= VALIDATION], "validation": train[place < VALIDATION], "test": test}
    return Corpus(parts, {"training texts equal to a test text, removed": int(same.sum())}, labels)


def show(report: Figures) -> None:
    """A line per fold, and the mean."""
    runs = report["runs"].values()
    for n, found in report["runs"].items():
        interval = f"{found['accuracy_low']:.4f} to {found['accuracy_high']:.4f}"
        print(f"{report['set']} {n}: accuracy {found['accuracy']:.4f} ({interval}), macro F1 {found['f1_macro']:.4f}")
    means = {name: statistics.mean(found[name] for found in runs) for name in ("accuracy", "f1_macro")}
    proof = " (a proof, no result)" if report["of"] else ""
    print(f"mean of {len(report['runs'])}: {means}, aim {report['aim']}{proof}")


if __name__ == "__main__":
    sys.exit(main())
