"""A line as far as the quality gate, made by hand in seconds: a tiny checkpoint, its answers, two passed verdicts."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from tasks import calibration, tokens, verdict
from tasks.core.files import read_parquet, write_json, write_parquet
from tasks.core.line import Line
from tasks.kinds.classify.checkpoint import Checkpoint
from tasks.report import png
from tasks.rows import LABELED

LABELS = ["negative", "positive"]
KIND, UNKIND = {"great", "lovely", "warm"}, {"dull", "awful", "cold"}
WORDS = ["film", "story", "cast", "the", "is", "and", "very", "odd", "music", *sorted(KIND | UNKIND)]


def texts(rows: int, seed: int = 0) -> list[str]:
    """Texts of 1 to 40 words, each with a number of its own."""
    rng = np.random.default_rng(seed)
    return [" ".join([*rng.choice(WORDS, rng.integers(1, 40)), str(n)]) for n in range(rows)]


def line(encoder: dict, rows: int = 120, calibrated: dict | None = None, name: str = "sentiment") -> Line:
    """Write everything that export, release_gate and release read, below the working directory.

    The labels are the model's own answers with every tenth turned round: its accuracy is 0.9. Without `calibrated` the
    temperature that suits the test rows.
    """
    made = Line(name)
    checkpoint(Path(encoder["path"]), made.folder / "train")
    model = Checkpoint(made.folder / "train")
    for seed, side in enumerate(("train", "validation", "test")):
        frame = table(rows, seed, model, side)
        write_parquet(made.file("split", f"{side}.parquet"), frame, LABELED)
    write_parquet(made.file("split", "out_of_scope.parquet"), frame[:0].assign(side=""))
    validation = read_parquet(made.file("split", "validation.parquet"))
    evaluated(made, model, frame, validation, calibrated)
    for gate in ("validate", "quality_gate"):
        check = verdict.limit("accuracy", 0.9, 0.8, None, rows)
        verdict.write(made.file(gate, "verdict.json"), verdict.Verdict.of(gate, [check]))
    made.file("quality_gate", "gate.html").write_text("<html><body>gate</body></html>")
    write_json(made.file("ingest", "provenance.json"), {"batches": [{"uri": "made", "rows": 3 * rows}]})
    write_json(made.file("label", "report.json"), {"rows": 3 * rows, "alpha": 0.71})
    (made.folder / "behaviour.yaml").write_text("[]\n")
    write_json(made.file("split", "report.json"), {"rows": {"train": rows, "validation": rows, "test": rows}})
    return made


def checkpoint(encoder: Path, folder: Path) -> None:
    """A classifier on the encoder, trained for a second to count kind words against unkind ones."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(encoder)
    written = [" ".join(text.split()[:12]) for text in texts(128, seed=9)]
    kind = [sum((word in KIND) - (word in UNKIND) for word in text.split()) > 0 for text in written]
    inputs = tokenizer(written, padding=True, truncation=True, return_tensors="pt")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = AutoModelForSequenceClassification.from_pretrained(
            encoder, num_labels=2, id2label=dict(enumerate(LABELS)), label2id={n: i for i, n in enumerate(LABELS)}
        )
        optimizer = torch.optim.Adam(model.parameters(), 1e-2)
        for _ in range(30):
            model(**inputs, labels=torch.tensor(kind).long()).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    model.save_pretrained(folder)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(encoder / file, folder / file)


def table(rows: int, seed: int, model: Checkpoint, side: str) -> pd.DataFrame:
    """A table of tasks.rows.LABELED, labelled by the model itself but for every tenth row."""
    written = texts(rows, seed)
    answer = model.logits(written, 64, side).argmax(axis=1)
    answer[::10] = 1 - answer[::10]
    return pd.DataFrame(
        {
            "id": [f"{side}{n}" for n in range(rows)],
            "text": written,
            "source": np.where(np.arange(rows) % 3 == 0, "letters", "reviews"),
            "created_at": pd.Series([pd.NaT] * rows, dtype="datetime64[us, UTC]"),
            "split_key": [hashlib.blake2b(text.encode(), digest_size=16).hexdigest() for text in written],
            "label": np.array(LABELS, dtype=object)[answer],
            "decided_by": "column",
            "rating_mean": np.nan,
            "agreement": np.nan,
            "confidence": np.nan,
            "ambiguous": False,
            "soft": None,
            "group": None,
        }
    )


def predictions(path: Path, rows: pd.DataFrame, logits: np.ndarray, calibrated: dict) -> pd.DataFrame:
    """Write a table of answers as evaluate does."""
    probabilities = calibration.apply(calibrated, logits)
    frame = rows[["id", "split_key", "source", "label"]].assign(
        predicted=np.array(LABELS, dtype=object)[probabilities.argmax(axis=1)],
        confidence=probabilities.max(axis=1).astype(np.float32),
        logits=list(logits.astype(np.float32)),
        probabilities=list(probabilities.astype(np.float32)),
    )
    write_parquet(path, frame)
    return frame


def evaluated(
    made: Line, model: Checkpoint, test: pd.DataFrame, validation: pd.DataFrame, calibrated: dict | None
) -> None:
    """What evaluate writes: answers, calibration, contract, metrics, two plots."""
    from matplotlib.figure import Figure

    logits = model.logits(test["text"].tolist(), 64, "test")
    actual = np.array([LABELS.index(label) for label in test["label"]])
    calibrated = calibrated or calibration.fit_temperature(logits.astype(np.float64), actual)
    frame = predictions(made.file("evaluate", "predictions.parquet"), test, logits, calibrated)
    seen = model.logits(validation["text"].tolist(), 64, "validation")
    predictions(made.file("evaluate", "validation.parquet"), validation, seen, calibrated)
    ids = tokens.digests(model.token_ids(test["text"].tolist()))
    contract = {"schema_version": 1, "labels": LABELS, "max_length": model.max_length, "tokens": ids}
    write_json(made.file("evaluate", "contract.json"), contract)
    write_json(made.file("evaluate", "calibration.json"), calibrated)
    accuracy = float((frame["predicted"] == frame["label"]).mean())
    part = {"rows": len(test), "accuracy": accuracy, "f1_macro": accuracy}
    metrics = {
        **part,
        "accuracy_low": accuracy - 0.05,
        "accuracy_high": accuracy + 0.05,
        "slices": {"source": {"reviews": part}},
        "calibration": {"method": "temperature", "ece_debiased": 0.01, "band_high": 0.02, "inside_band": True},
        "per_class": {label: {"precision": 0.9, "recall": 0.9, "f1": 0.9, "rows": 60} for label in LABELS},
    }
    rates = {"rate": 0.1, "rate_low": 0.05, "rate_high": 0.2}
    failed = {"kind": "minimum", "cases": 50, "failed": 5, **{f"fail_{name}": value for name, value in rates.items()}}
    flipped = {"cases": 40, "flipped": 4, "gap_mean": 0.03, **{f"flip_{name}": value for name, value in rates.items()}}
    metrics |= {"behaviour": {"negation": failed, "kinds": {"minimum": failed}}, "fairness": {"age": flipped}}
    write_json(made.file("evaluate", "metrics.json"), metrics)
    for plot in ("confusion", "reliability"):
        made.file("evaluate", f"{plot}.png").write_bytes(png(Figure(figsize=(1, 1))))


def released(encoder: dict) -> Line:
    """A line in the working directory, a copy of the project's code, taken on to its release."""
    from tasks.core.stage import execute
    from tasks.export import export
    from tasks.release import release
    from tasks.release_gate import release_gate

    made = line(encoder)
    gate = {"calibration_slack": 0.2}
    block = {"kind": "classify", "release_gate": gate, "train": {"epochs": 3}, "release": {"title": "Made <by> hand"}}
    Path("params.yaml").write_text(yaml.safe_dump({"lines": {made.name: block}}))
    for stage in (export, release_gate, release):
        execute(stage, made.name)
    return made


def resealed(folder: Path, turned: bool = False, **changes) -> str:
    """Make a bundle's manifest anew after an edit; return its id. `turned` lets the model say the opposite."""
    from tasks.bundle import seal
    from tasks.core.files import read_json

    content = {**read_json(folder / "manifest.json"), **changes}
    if turned:
        signature = read_json(folder / "signature.json")
        write_json(folder / "signature.json", {**signature, "labels": signature["labels"][::-1]})
    return seal(folder, {key: value for key, value in content.items() if key not in ("files", "schema_version")})
