"""Intents by the line's own recipe: banking77, and clinc150 with requests that are out of scope.

    TIDEGATE_DATA=/path/to/data python benchmarks/intents.py banking77          # every training question, one seed
    python benchmarks/intents.py banking77 --per-label 10                       # the published ten of each intent
    python benchmarks/intents.py clinc150 --seeds 5                             # with the interval over seeds
    python benchmarks/intents.py clinc150 --intents 30 --per-label 10 --set learning_rate=1e-3   # a reduced setting

Beside it stands the base model as it is published, with a linear SVM on its embeddings. What is out of scope teaches
nothing: the official training and validation requests fit the threshold, the official test requests judge it. Test
texts that stand in train are left out of train. Finished trainings are remembered, an interrupted one goes on.
"""

import argparse
import csv
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from corpora import Corpus, table
from project import ROOT, Figures, measured, remember
from retrieve import Encoder, interval
from rich.console import Console
from rich.table import Table

from tasks import calibration, scope
from tasks.core.errors import SourceError, TidegateError
from tasks.core.files import sha256
from tasks.core.settings import parse, read_params
from tasks.encoders import locate
from tasks.kinds.classify.checkpoint import Checkpoint
from tasks.kinds.common.scope import figures
from tasks.text import TextSettings
from tasks.train import TrainSettings

BATCH = 64
ASIDE = 10  # training questions of each intent of banking77 that stop the training: it has no validation side
RECIPE = {"epochs": 8, "patience": 3, "batch_size": 32, "learning_rate": 3e-4, "max_length": 64, "label_smoothing": 0.1}
RATES = (0.05, 0.2, 0.3, 0.4)
SCORES = ("energy", "max_probability")
SCOPED = ("accuracy", "recall", "precision", "roc_auc")


def main() -> None:
    """Measure and print."""
    arguments = parser().parse_args()
    corpus = CORPORA[arguments.corpus](folder(arguments.corpus), arguments.per_label, arguments.intents)
    base = read_params(ROOT / "params.yaml")["lines"]["sentiment"]["train"]["base_model"]
    recipe = RECIPE | dict(arguments.set)
    runs = [trained(arguments.corpus, corpus, base, recipe, seed) for seed in range(arguments.seeds)]
    Console().print(told(arguments.corpus, corpus, frozen(corpus, base), runs))
    if corpus.strange is not None:
        Console().print(told_scope(runs))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("corpus", choices=CORPORA)
    made.add_argument("--seeds", type=int, default=1, help="trainings; 5 give an interval")
    made.add_argument("--per-label", type=int, help="training questions of each intent; default: all")
    made.add_argument("--intents", type=int, help="the first so many intents by name alone; default: all")
    made.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", type=_setting,
                      help="another value for a setting of train; repeatable")  # fmt: skip
    return made


def _setting(text: str) -> tuple[str, Any]:
    key, _, value = text.partition("=")
    return key, yaml.safe_load(value)


def folder(name: str) -> Path:
    """Where a corpus lies. Raises SourceError when it is not there."""
    found = Path(os.environ.get("TIDEGATE_DATA", ROOT.parent / "shared" / "data")) / name
    if not found.exists():
        raise SourceError(f"{found} is not there. Set TIDEGATE_DATA to the folder that holds {name}.")
    return found


def banking77(data: Path, per_label: int | None, intents: int | None) -> Corpus:
    """The official sides; of train some questions as validation, and of the others all, or the published few."""
    train, test = (_table("banking77", side, _read(data / f"{side}.csv")) for side in ("train", "test"))
    if per_label:
        few = zip(*((data / f"fewshot_train_{per_label}.{part}").read_text().splitlines()
                    for part in ("seq.in", "label")), strict=True)  # fmt: skip
        chosen = _table("banking77", "few", few)
    shuffled = train.sample(frac=1, random_state=0)
    if per_label:
        shuffled = shuffled[~shuffled["split_key"].isin(chosen["split_key"])]
    place = shuffled.groupby("label").cumcount()
    rest = chosen if per_label else shuffled[place >= ASIDE]
    return _corpus({"train": rest, "validation": shuffled[place < ASIDE], "test": test}, intents)


def _read(path: Path) -> Iterator[tuple[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        yield from ((row["text"], row["category"]) for row in csv.DictReader(stream))


def clinc150(data: Path, per_label: int | None, intents: int | None) -> Corpus:
    """The official sides; with few training questions of an intent as few of its validation questions."""
    content = json.loads((data / "data_full.json").read_text(encoding="utf-8"))
    names = {"train": "train", "validation": "val", "test": "test"}
    sides = {side: _table("clinc150", side, content[name]) for side, name in names.items()}
    for side in ("train", "validation"):
        sides[side] = sides[side][sides[side].groupby("label").cumcount() < (per_label or len(sides[side]))]
    strange = [_table("clinc150", f"oos-{side}", content[f"oos_{name}"]).assign(side=side)
               for side, name in names.items()]  # fmt: skip
    return _corpus(sides, intents, pd.concat(strange).sort_values("id"))


CORPORA: dict[str, Callable[[Path, int | None, int | None], Corpus]] = {"banking77": banking77, "clinc150": clinc150}


def _table(name: str, side: str, rows: Any) -> pd.DataFrame:
    return table(name, [(f"{side}-{n:05}", label, text) for n, (text, label) in enumerate(rows)], TextSettings())


def _corpus(sides: dict[str, pd.DataFrame], intents: int | None, strange: pd.DataFrame | None = None) -> Corpus:
    labels = sorted(set(sides["test"]["label"]))[:intents]
    sides = {side: rows[rows["label"].isin(labels)].sort_values("id") for side, rows in sides.items()}
    same = sides["train"]["split_key"].isin(sides["test"]["split_key"])
    sides["train"] = sides["train"][~same].drop_duplicates("split_key")
    return Corpus(sides, {"training texts equal to a test text, removed": int(same.sum())}, labels, strange)


def frozen(corpus: Corpus, base: dict[str, Any]) -> float:
    """Test accuracy of a linear SVM on the embeddings of the base model as it is published."""
    what = {"intents": "frozen", "base": base, "train": _digest(corpus), "code": sha256(Path(__file__))}

    def compute(_: str) -> Figures:
        from sklearn.svm import LinearSVC

        settings = parse(TrainSettings, {"base_model": base}, "train")
        model = Encoder(locate(settings.base_model).resolve(), "AutoModel")
        learned, asked = (
            model.outputs(corpus.sides[side]["text"].tolist(), BATCH, "frozen") for side in ("train", "test")
        )
        machine = LinearSVC(random_state=0).fit(learned, corpus.sides["train"]["label"])
        return {"accuracy": float((machine.predict(asked) == corpus.sides["test"]["label"]).mean())}

    return float(remember(what, compute)["accuracy"])


def _digest(corpus: Corpus) -> str:
    with tempfile.TemporaryDirectory() as name:
        corpus.write(Path(name))
        return sha256(Path(name))


def trained(name: str, corpus: Corpus, base: dict[str, Any], recipe: dict[str, Any], seed: int) -> Figures:
    """Figures of the stage train's checkpoint, and its seconds."""
    params = {"kind": "classify", "train": {"base_model": base, "seed": seed, **recipe}}
    with tempfile.TemporaryDirectory() as data:
        corpus.write(Path(data))
        return measured(name, params, Path(data), ("train",), lambda at: judged(at / "train", corpus))


def judged(checkpoint: Path, corpus: Corpus) -> Figures:
    """Test accuracy, and for each score and target rate what its threshold does."""
    model = Checkpoint(checkpoint)
    validation, test = (corpus.sides[side] for side in ("validation", "test"))
    seen, asked = (model.logits(side["text"].tolist(), BATCH, "judging") for side in (validation, test))
    actual = test["label"].map(model.labels.index).to_numpy()
    found: Figures = {"accuracy": float((asked.argmax(axis=1) == actual).mean())}
    if corpus.strange is None:
        return found
    strange = model.logits(corpus.strange["text"].tolist(), BATCH, "out of scope")
    fitted = calibration.fit_temperature(
        seen.astype(np.float64), validation["label"].map(model.labels.index).to_numpy()
    )
    return found | {"scope": {score: _scoped(score, fitted, asked, actual, strange, corpus) for score in SCORES}}


def _scoped(score: str, fitted: Any, asked: Any, actual: Any, strange: Any, corpus: Corpus) -> dict[str, Figures]:
    assert corpus.strange is not None  # noqa: S101 - seen to by the caller
    known, other = (scope.scores(score, z, calibration.apply(fitted, z)) for z in (asked, strange))
    judging = (corpus.strange["side"] == scope.JUDGING).to_numpy()
    found = {}
    for rate in RATES:
        wanted = scope.ScopeSettings(score=score, false_accept=rate).model_dump()
        bound = scope.fit(known[:0], other[~judging], wanted)
        found[str(rate)] = figures(known, asked.argmax(axis=1) == actual, other[judging], bound["threshold"])
    return found


def told(name: str, corpus: Corpus, before: float, runs: list[Figures]) -> Table:
    """A row per model; with several seeds mean and 95% interval (Student's t)."""
    size = corpus.rows()
    shown = Table("model", "test accuracy", "seconds of training")
    shown.title = f"{name}: {len(corpus.labels)} intents, {size['train']:,} training and {size['test']:,} test texts"
    shown.add_row("published base model + linear SVM", f"{100 * before:.2f}", "-")
    seconds = ", ".join(str(run["seconds"]["train"]) for run in runs)
    shown.add_row("trained", interval([run["accuracy"] for run in runs]), seconds)
    return shown


def told_scope(runs: list[Figures]) -> Table:
    """A row per score and target rate of out-of-scope requests that pass for known."""
    shown = Table("score", "false accept aimed at", "false accept seen", *SCOPED, title="out of scope")
    for score in SCORES:
        for rate in map(str, RATES):
            found = [run["scope"][score][rate] for run in runs]
            cells = [interval([one[name] for one in found]) for name in SCOPED]
            shown.add_row(score, rate, interval([1 - one["recall"] for one in found]), *cells)
    return shown


if __name__ == "__main__":
    try:
        main()
    except TidegateError as error:
        sys.exit(f"error: {error}")
