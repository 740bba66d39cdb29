"""Labelling functions on spam comments: models trained on what ten functions say, against the functions' majority.

    python benchmarks/weak.py            # 5 seeds, frozen and fine-tuned encoder; some minutes each on two cores
    python benchmarks/weak.py --frozen   # the frozen encoder alone: a minute

The votes of ten labelling functions on 1,586 YouTube comments come with the set, and so does the truth, which judges
alone; 250 test comments are judged, all of them. Majority: ties and comments on which no function votes count half.
The label model is that of label.functions, without a known label and with the 120 of the set's validation side. Each
seed draws the training comments anew with replacement (frozen encoder), or another head and order (fine-tuned).
Read from TIDEGATE_DATA (default ../shared/data); skipped where it is absent.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import numpy as np
import tuned
from project import KEPT, ROOT, remember
from rich.console import Console
from rich.table import Table

from tasks.core.files import sha256, write_json
from tasks.core.quiet import silence
from tasks.weak.decide import fit
from tasks.weak.functions import ABSTAINS

DATA = Path(os.environ.get("TIDEGATE_DATA", ROOT.parent / "shared" / "data")).resolve() / "youtube_spam_wrench"
LABELS = ["ham", "spam"]
ASSUMED = 0.8
TUNED = ("majority labels", "soft labels", "soft labels, 120 known")
Side = tuple[list[str], np.ndarray, np.ndarray]
"""Texts, true labels [rows], votes [rows, functions]."""


def main() -> int:
    """Train and judge; 0 also where the data are absent."""
    silence()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--frozen", action="store_true", help="without fine-tuning")
    arguments = parser.parse_args()
    if not DATA.exists():
        print(f"skipped: {DATA} is not there. Set TIDEGATE_DATA to the folder that holds it.")
        return 0
    train, validation, test = (read(side) for side in ("train", "valid", "test"))
    targets = soft_targets(train, validation)
    report = {"majority vote of the functions": [majority_right(test)]}
    report["label model on the test votes"] = [right(labelled(test[2], train, validation)[1], test[1])]
    report |= frozen(train, test, targets, arguments.seeds)
    if not arguments.frozen:
        report |= {
            f"fine-tuned on {name}": [tuned_right(name, given, train, validation, test, seed)
                                      for seed in range(arguments.seeds)]
            for name, given in targets.items() if name in TUNED
        }  # fmt: skip
    write_json(KEPT / "weak.json", {"test accuracy": report, "labels of the training rows": quality(train, targets)})
    show(report, quality(train, targets))
    return 0


def read(side: str) -> Side:
    """A side of the set."""
    rows = list(json.loads((DATA / f"{side}.json").read_text(encoding="utf-8")).values())
    votes = np.array([row["weak_labels"] for row in rows])
    return [row["data"]["text"].replace("\ufeff", "") for row in rows], np.array([row["label"] for row in rows]), votes


def labelled(votes: np.ndarray, train: Side, known: Side | None) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of some votes by the label model of the training votes, without and with known labels."""
    nobody = np.full(len(train[2]), ABSTAINS)
    blind = fit(train[2], nobody, 2, ASSUMED).posterior(votes)
    if known is None:
        return blind, blind
    taught = fit(np.concatenate([train[2], known[2]]), np.concatenate([nobody, known[1]]), 2, ASSUMED)
    return blind, taught.posterior(votes)


def counts(votes: np.ndarray) -> np.ndarray:
    """[rows, classes], how many functions say what."""
    return np.stack([(votes == code).sum(axis=1) for code in range(len(LABELS))], axis=1).astype(float)


def soft_targets(train: Side, validation: Side) -> dict[str, np.ndarray]:
    """What models learn from, [rows, classes] each; 0 where nothing is learned from, as without votes."""
    heads = counts(train[2])
    tie, none = heads[:, 0] == heads[:, 1], heads.sum(axis=1) == 0
    majority = np.eye(2)[heads.argmax(axis=1)] * ~tie[:, None]
    blind, taught = (soft * ~none[:, None] for soft in labelled(train[2], train, validation))
    hard = np.eye(2)[blind.argmax(axis=1)] * ~none[:, None]
    return {
        "majority labels": majority,
        "labels of the label model": hard,
        "soft labels": blind,
        "soft labels, 120 known": taught,
        "true labels": np.eye(2)[train[1]],
    }


def frozen(train: Side, test: Side, targets: dict[str, np.ndarray], seeds: int) -> dict[str, list[float]]:
    """Test accuracy of a logistic regression over the frozen encoder on resampled training rows."""
    features = tuned.embedded([*train[0], *test[0]])
    given, judged = features[: len(train[0])], features[len(train[0]) :]
    found: dict[str, list[float]] = {}
    for name, soft in targets.items():
        found[f"frozen, {name}"] = []
        for seed in range(seeds):
            drawn = np.random.default_rng(seed).integers(len(given), size=len(given))
            drawn = drawn[soft[drawn].sum(axis=1) > 0]
            found[f"frozen, {name}"].append(right(tuned.linear(given[drawn], soft[drawn], judged), test[1]))
    return found


def tuned_right(name: str, soft: np.ndarray, train: Side, validation: Side, test: Side, seed: int) -> float:
    """Test accuracy of the line's recipe; its best epoch by the 120 validation rows, for every kind of target."""
    code = [sha256(ROOT / path) for path in ("tasks/kinds/classify/train.py", "tasks/weak/decide.py")]
    what = {"weak": name, "seed": seed, "code": code, "train": tuned.recipe().model_dump()}

    def compute(_: str) -> dict[str, float]:
        kept = np.flatnonzero(soft.sum(axis=1) > 0)
        labels = [LABELS[code] for code in soft[kept].argmax(axis=1)]
        rows = tuned.rows([train[0][row] for row in kept], labels, soft[kept] if name.startswith("soft") else None)
        stops = tuned.rows(validation[0], [LABELS[code] for code in validation[1]])
        logits = tuned.fine_tuned(rows, stops, LABELS, test[0], tuned.recipe(seed=seed))
        return {"accuracy": right(logits, test[1])}

    accuracy = remember(what, compute)["accuracy"]
    print(f"fine-tuned on {name}, seed {seed}: {accuracy:.3f}", file=sys.stderr, flush=True)
    return float(accuracy)


def majority_right(side: Side) -> float:
    """Accuracy of the functions' majority over all rows; ties and silence count half."""
    heads = counts(side[2])
    tie = heads[:, 0] == heads[:, 1]
    return float(np.where(tie, 0.5, heads.argmax(axis=1) == side[1]).mean())


def right(scores: np.ndarray, actual: np.ndarray) -> float:
    """Accuracy over all rows."""
    return float((scores.argmax(axis=1) == actual).mean())


def quality(train: Side, targets: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Of each kind of target: rows with one, how many of these are right, and their Brier score."""
    told = {}
    for name, soft in targets.items():
        kept = soft.sum(axis=1) > 0
        error = ((soft[kept] - np.eye(2)[train[1][kept]]) ** 2).sum(axis=1)
        told[name] = {
            "rows": int(kept.sum()),
            "right": right(soft[kept], train[1][kept]),
            "brier": float(error.mean()),
        }
    return told


def show(report: dict[str, list[float]], targets: dict[str, dict[str, float]]) -> None:
    """Two tables."""
    against = report["majority vote of the functions"][0]
    table = Table("side", "test accuracy, all 250 rows, 95 % over seeds", "above the majority vote, points", "seeds")
    for name, values in report.items():
        mean, low, high = tuned.interval(values)
        span = f" ({low:.3f} to {high:.3f})" if len(values) > 1 else ""
        table.add_row(
            name, f"{mean:.3f}{span}", f"{100 * (mean - against):+.1f}", ", ".join(f"{v:.3f}" for v in values)
        )
    rows = Table("labels of the 1,586 training rows", "rows", "right", "Brier score")
    for name, one in targets.items():
        rows.add_row(name, str(one["rows"]), f"{one['right']:.3f}", f"{one['brier']:.3f}")
    Console(width=140).print(rows, table)


if __name__ == "__main__":
    sys.exit(main())
