"""`tidegate pseudo`: texts that nobody labelled, labelled by the champion where it is sure, as a file to learn from."""

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flows.examine import current_champion
from flows.registry import folder, named
from flows.settings import of_texts
from serving.batch import CHUNK_ROWS, survey
from serving.tables import table
from tasks.core.errors import DataError, SettingsError, TidegateError
from tasks.core.files import atomic, read_parquet
from tasks.core.line import STATE, Line
from tasks.inference import Model
from tasks.weak.pseudo import chosen, row_id

FOLDER = STATE / "pseudo"
COLUMNS = {"id", "text", "label", "created_at", "confidence"}


def label_file(
    name: str, source: Path, target: Path | None, rows: int | None = None, confidence: float = 0.95, text: str = "text"
) -> str:
    """Write the rows of `source` that the line's champion is sure of as jsonl (id, text, label, ...).

    Texts go through the release's text policy first: what is written is masked. Each text counts once, and its id is
    made of its content. Where a later champion says otherwise of a text there are two rows of that id: a suite that
    wants ids unique, as that of a new line does, puts both aside; without such an expectation stage split takes the
    newer one. As many rows of every label are kept (tasks.weak.pseudo.chosen). Returns what was done, in sentences.
    Raises SettingsError for another ending than jsonl and for a target that holds other rows, TidegateError without a
    champion, DataError where it is sure of no text.
    """
    target = target or FOLDER / f"{name}.jsonl"
    if target.suffix != ".jsonl":
        raise SettingsError(f"The file was given as {target.name}; it must end with .jsonl.")
    line, known = Line(name, of_texts(name).kind), _earlier(target)
    champion = current_champion(line)
    if champion is None:
        raise TidegateError(f"{name} has no champion, so that nothing can label. `tidegate promote` first.")
    bundle = folder(line, named(name, champion.version))
    model = Model.load(bundle)
    texts, probabilities = _answered(model, source, text)
    ids = [row_id(one) for one in texts]
    codes, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    labels = model.signature.labels
    kept = chosen(ids, codes, sure, len(labels), confidence, rows)
    if not len(kept):
        raise DataError(
            f"{champion.version} is not {confidence:g} sure of any of the {len(texts)} texts. Bring more texts, or "
            "give a lower --confidence."
        )
    now = datetime.now(UTC).isoformat(timespec="seconds")
    with atomic(target) as temporary, temporary.open("w", encoding="utf-8") as stream:
        for place in kept:
            label = labels[codes[place]]
            since = known.get((ids[place], label), now)
            row = {"id": ids[place], "text": texts[place], "label": label, "created_at": since,
                   "confidence": round(float(sure[place]), 4)}  # fmt: skip
            stream.write(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n")
    return _told(name, champion.version, target, labels, codes, sure >= confidence, kept) + _right(
        bundle, model, confidence
    )


def _earlier(target: Path) -> dict[tuple[str, str], str]:
    """When an earlier round said the same of a text: the row is then the same, and is not taken twice.

    Raises SettingsError for a file of other rows, which would be lost.
    """
    if not target.exists():
        return {}
    try:
        rows = [json.loads(row) for row in target.read_text(encoding="utf-8").splitlines()]
        ours = all(row.keys() == COLUMNS for row in rows)
    except (ValueError, AttributeError):
        ours = False
    if not ours:
        raise SettingsError(f"{target} holds other rows than `tidegate pseudo` writes. Give another name by --output.")
    return {(row["id"], row["label"]): row["created_at"] for row in rows}


def _answered(model: Model, source: Path, column: str) -> tuple[list[str], NDArray[np.float32]]:
    """Each text of the file once, cleaned, with the model's calibrated probabilities [rows, classes]."""
    given = table(source)
    survey(given, column, CHUNK_ROWS)
    texts: dict[str, None] = {}
    found = [np.empty((0, len(model.signature.labels)), np.float32)]
    for chunk in given.chunks(CHUNK_ROWS):
        cleaned = (model.clean(text) if model.clean else text for text in given.texts(chunk, column) if text)
        fresh = [text for text in dict.fromkeys(cleaned) if text.strip() and text not in texts]
        texts.update(dict.fromkeys(fresh))
        if fresh:
            found.append(model.predict(fresh, cleaned=True).probabilities)
    return list(texts), np.concatenate(found)


def _told(
    name: str, version: str, target: Path, labels: list[str], codes: NDArray[np.int64], sure: NDArray[np.bool_],
    kept: NDArray[np.int64],
) -> str:  # fmt: skip
    taken, able = Counter(codes[kept].tolist()), Counter(codes[sure].tolist())
    columns = "{id: id, text: text, label: label, created_at: created_at}"
    counts = ", ".join(f"{label} {taken[code]} of {able[code]}" for code, label in enumerate(labels))
    return (
        f"{len(kept)} of {len(codes)} texts are in {target}, labelled by {version} ({counts} it is sure of).\n"
        f"To learn from them, add to lines.{name} in params.yaml, under sources:\n"
        f"  - {{name: pseudo, kind: file, path: {target}, columns: {columns}}}\n"
        "and under split, so that they never judge a model:\n"
        "  train_only_sources: [pseudo]\n"
    )


def _right(bundle: Path, model: Model, confidence: float) -> str:
    """How often the champion is right where it is so sure, on its own test rows."""
    known = read_parquet(bundle / "reference/rows.parquet")
    answers = read_parquet(bundle / f"reference/{model.variant}.parquet", ["predicted", "probabilities"])
    sure = (known["side"] == "test").to_numpy() & (
        np.stack(answers["probabilities"].to_list()).max(axis=1) >= confidence
    )
    if not sure.any():
        return "Of its own test rows the release is so sure of none: how often such answers are right is not known."
    right = (known["label"] == answers["predicted"]).to_numpy()[sure].mean()
    return f"On the release's own test rows it is right in {right:.1%} of {int(sure.sum())} that it is so sure of."
