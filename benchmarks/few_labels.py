"""Pseudo-labels with 5 % of the labels of the film sentences: do they help?

    python benchmarks/few_labels.py              # 5 seeds; some minutes each on two cores
    python benchmarks/few_labels.py --only frozen    # the encoder as it comes: a minute

Each seed draws 5 % of the sentences with their labels (a fifth of them validates), 3,000 without and 2,000 to be judged
on. The model of the few labels, calibrated on its validation rows, labels the 3,000; what `tidegate pseudo` would keep
of them (1,000 at most) is added to train, and the same recipe runs anew. More rows are more steps, so the few labels
alone are also trained for as many steps. Figures of finished seeds are kept.
"""

import argparse
import sys

import answered
import numpy as np
import pandas as pd
import tuned
from corpora import LABELS
from project import KEPT, ROOT, remember
from rich.console import Console
from rich.table import Table

from tasks import calibration
from tasks.core.files import sha256, write_json
from tasks.core.quiet import silence
from tasks.weak.pseudo import chosen, row_id

SHARE, VALIDATION, UNLABELLED, TEST = 0.05, 0.2, 3_000, 2_000
ROWS = 1_000
"""Pseudo-labels at most."""
CONFIDENCE = {"fine-tuned": 0.95, "frozen": 0.95}
Figures = dict[str, float]


def main() -> int:
    """Run the seeds; print and keep the table."""
    silence()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", choices=CONFIDENCE, help="one of the two models")
    arguments = parser.parse_args()
    film = answered.texts("film")
    report: dict[str, list[Figures]] = {}
    if arguments.only != "fine-tuned":
        features = tuned.embedded(film["text"].tolist())
        report["frozen"] = [_frozen(film, features, n) for n in range(arguments.seeds)]
    if arguments.only != "frozen":
        report["fine-tuned"] = [_remembered(film, n) for n in range(arguments.seeds)]
    write_json(KEPT / "few_labels.json", report)
    _show(report)
    return 0


def _remembered(film: pd.DataFrame, seed: int) -> Figures:
    code = sha256(ROOT / "tasks" / "kinds" / "classify" / "train.py")
    what = {"few_labels": seed, "rows": ROWS, "code": code, "train": tuned.recipe().model_dump()}
    figures = remember(what, lambda _: _tuned(film, seed))
    print(f"seed {seed}: {figures}", file=sys.stderr, flush=True)
    return figures


def _drawn(rows: int, seed: int) -> list[np.ndarray]:
    """Places of the rows to train on, to validate with, without labels, to be judged on."""
    order = np.random.default_rng([seed, rows]).permutation(rows)
    few = round(SHARE * rows)
    return np.split(order, np.cumsum([few - round(VALIDATION * few), round(VALIDATION * few), UNLABELLED, TEST]))[:4]


def _kept(
    logits: np.ndarray, validation: np.ndarray, actual: np.ndarray, ids: list[str], least: float
) -> tuple[np.ndarray, np.ndarray]:
    """Places of the unlabelled rows that are learned from, and the labels they get."""
    fitted = calibration.fit(validation, actual)[0]
    probabilities = calibration.apply(fitted, logits)
    codes = probabilities.argmax(axis=1)
    return chosen(ids, codes, probabilities.max(axis=1), len(LABELS), least, ROWS), codes


def _frozen(film: pd.DataFrame, features: np.ndarray, seed: int) -> Figures:
    train, validation, unlabelled, test = _drawn(len(film), seed)
    actual = film["label"].map(LABELS.index).to_numpy()
    one_hot = np.eye(len(LABELS))
    known = tuned.linear(features[train], one_hot[actual[train]], features)
    ids = [row_id(text) for text in film["text"].iloc[unlabelled]]
    kept, codes = _kept(known[unlabelled], known[validation], actual[validation], ids, CONFIDENCE["frozen"])
    more = np.concatenate([train, unlabelled[kept]])
    targets = one_hot[np.concatenate([actual[train], codes[kept]])]
    taught = tuned.linear(features[more], targets, features[test])
    return {
        "alone": _right(known[test], actual[test]),
        "with pseudo-labels": _right(taught, actual[test]),
        "pseudo-labels": len(kept),
        "of them right": float((codes[kept] == actual[unlabelled[kept]]).mean()) if len(kept) else float("nan"),
    }


def _tuned(film: pd.DataFrame, seed: int) -> Figures:
    train, validation, unlabelled, test = (film.iloc[places] for places in _drawn(len(film), seed))
    listed = {name: side["text"].tolist() for name, side in (("v", validation), ("u", unlabelled), ("t", test))}
    sides = [tuned.rows(side["text"].tolist(), side["label"].tolist()) for side in (train, validation)]
    recipe = tuned.recipe(seed=seed)
    logits = tuned.fine_tuned(*sides, LABELS, [*listed["v"], *listed["u"], *listed["t"]], recipe)
    cuts = np.cumsum([len(listed["v"]), len(listed["u"])])
    on_validation, on_unlabelled, on_test = np.split(logits, cuts)
    actual = {name: side["label"].map(LABELS.index).to_numpy() for name, side in (("v", validation), ("t", test))}
    ids = [row_id(text) for text in listed["u"]]
    kept, codes = _kept(on_unlabelled, on_validation, actual["v"], ids, CONFIDENCE["fine-tuned"])
    added = unlabelled.iloc[kept]
    both = tuned.rows([*train["text"], *added["text"]], [*train["label"], *(LABELS[code] for code in codes[kept])])
    taught = tuned.fine_tuned(both, sides[1], LABELS, listed["t"], recipe)
    epochs = round(recipe.epochs * len(both) / len(train))
    longer = tuned.fine_tuned(*sides, LABELS, listed["t"], tuned.recipe(seed=seed, epochs=epochs, patience=epochs))
    return {
        "alone": _right(on_test, actual["t"]),
        "alone, as many steps": _right(longer, actual["t"]),
        "with pseudo-labels": _right(taught, actual["t"]),
        "pseudo-labels": len(kept),
        "of them right": float((np.array(LABELS)[codes[kept]] == added["label"].to_numpy()).mean()) if len(kept) else 0,
    }


def _right(logits: np.ndarray, actual: np.ndarray) -> float:
    return float((logits.argmax(axis=1) == actual).mean())


def _show(report: dict[str, list[Figures]]) -> None:
    table = Table("model", "figure", "mean, 95 % over seeds", "pseudo-labels less this, paired", "single seeds",
                  title=f"{SHARE:.0%} of the film labels, {UNLABELLED:,} texts without, {TEST:,} judged")  # fmt: skip
    for model, seeds in report.items():
        for name in seeds[0]:
            values = [one[name] for one in seeds]
            digits = 0 if name == "pseudo-labels" else 4
            mean, low, high = tuned.interval(values)
            gain = ""
            if name.startswith("alone"):
                more = tuned.interval([100 * (one["with pseudo-labels"] - one[name]) for one in seeds])
                gain = "{:+.1f} points ({:+.1f} to {:+.1f})".format(*more)
            cells = ", ".join(f"{value:.{digits}f}" for value in values)
            table.add_row(model, name, f"{mean:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})", gain, cells)
    Console(width=160).print(table)


if __name__ == "__main__":
    sys.exit(main())
