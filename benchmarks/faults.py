"""The default line's own files, whole, redrawn or with a fault put into them, and what its two gates say of each."""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from project import KEPT, ROOT

from tasks.core.errors import StageError
from tasks.core.files import read_json, read_parquet, write_json, write_parquet
from tasks.core.line import Line
from tasks.core.settings import Settings, line_params, parse, read_params
from tasks.evaluate import EvaluateSettings
from tasks.kinds.common import metrics
from tasks.quality_gate import QualityGateSettings, quality_gate
from tasks.release_gate import ReleaseGateSettings, release_gate
from tasks.rows import LABELED
from tasks.text import TextSettings
from tasks.verdict import Verdict, read

LINE = Line("sentiment")
STAGES = ("label", "split", "train", "evaluate", "export")
ELSEWHERE = ("validation", "behaviour", "fairness")
"""Figures of metrics.json that are not about test rows."""


@contextlib.contextmanager
def copied() -> Iterator[None]:
    """A copy of the line's files as working directory. Files are linked: write new ones, never into one."""
    for stage in STAGES:
        if not (ROOT / LINE.folder / stage).exists():
            raise StageError(f"{LINE.folder / stage} is missing. Run `tidegate run {LINE.name}` first.")
    KEPT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=KEPT) as folder:
        for stage in STAGES:
            shutil.copytree(ROOT / LINE.folder / stage, Path(folder, LINE.folder, stage), copy_function=os.link)
        shutil.copy(ROOT / "params.yaml", folder)
        with contextlib.chdir(folder):
            yield


def block(model: type[Settings]) -> Any:
    """A block of the default line's settings."""
    return parse(model, line_params(read_params(), LINE.name)[model.block], model.block)


def judged_quality() -> tuple[Verdict, float]:
    """What the quality gate says, and in how many seconds."""
    start = time.perf_counter()
    out = _empty(LINE.folder / "quality_gate")
    quality_gate(LINE, block(QualityGateSettings), block(EvaluateSettings), block(TextSettings), out)
    return read(out / "verdict.json"), time.perf_counter() - start


def judged_release() -> tuple[Verdict, float]:
    """What the release gate says, and in how many seconds."""
    start = time.perf_counter()
    out = _empty(LINE.folder / "release_gate")
    release_gate(LINE, block(ReleaseGateSettings), out)
    return read(out / "verdict.json"), time.perf_counter() - start


def inference_seconds() -> float:
    """What the release gate spends in the models: each variant over all texts, over some alone, and its timings."""
    from tasks.inference import Model, read_signature
    from tasks.kinds.common.gates import ALONE
    from tasks.timings import timings

    signature = read_signature(LINE.file("export", "signature.json"))
    texts = answered()["text"].tolist()
    start = time.perf_counter()
    for variant in signature.variants:
        model = Model.open(LINE.folder / "export/variants", LINE.file("train", "tokenizer.json"), signature, variant)
        model.predict(texts, cleaned=True)
        for text in texts[:ALONE]:
            model.predict([text], cleaned=True)
    timings(LINE, signature, texts)
    return time.perf_counter() - start


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def answered() -> pd.DataFrame:
    """Test rows (tasks.rows.LABELED) with the logits of the torch model."""
    rows = read_parquet(LINE.file("split", "test.parquet"))
    return rows.assign(logits=read_parquet(LINE.file("evaluate", "predictions.parquet"))["logits"])


def measure(rows: pd.DataFrame, sharper: float = 1.0) -> None:
    """Let evaluate report these rows instead; `sharper` multiplies the logits that the calibration gets."""
    labels = read_json(LINE.file("evaluate", "contract.json"))["labels"]
    known = read_json(LINE.file("evaluate", "metrics.json"))
    fitted = read_json(LINE.file("evaluate", "calibration.json"))
    logits = sharper * np.array(rows["logits"].tolist(), dtype=np.float32)
    write_parquet(LINE.file("split", "test.parquet"), rows[LABELED.names], LABELED)
    elsewhere = {name: known[name] for name in ELSEWHERE if name in known}
    out = LINE.folder / "evaluate"
    metrics.report(out, rows, logits, labels, fitted, {}, elsewhere, block(EvaluateSettings))


def redrawn(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Half of the rows, without replacement: such halves vary as whole test sets drawn from a large pool do."""
    return rows.iloc[np.sort(rng.choice(len(rows), len(rows) // 2, replace=False))].reset_index(drop=True)


def copies_in_train(share: float, edited: bool) -> Callable[[], None]:
    """Rows of test put into train, as they are or with a tenth of their characters edited."""

    def put() -> None:
        rng = np.random.default_rng(0)
        test, train = (read_parquet(LINE.file("split", f"{side}.parquet")) for side in ("test", "train"))
        chosen = test.sample(round(share * len(test)), random_state=0)
        chosen = chosen.assign(id="copy of " + chosen["id"])
        if edited:
            texts = [_edited(text, rng) for text in chosen["text"]]
            chosen = chosen.assign(text=texts, split_key=[f"{n:032x}" for n in range(len(chosen))])
        write_parquet(LINE.file("split", "train.parquet"), pd.concat([train, chosen])[LABELED.names], LABELED)

    return put


def _edited(text: str, rng: np.random.Generator) -> str:
    """A tenth of the characters substituted, left out or doubled, at random places."""
    places = set(rng.choice(len(text), max(1, len(text) // 10), replace=False).tolist())
    changes = ("", "x", "ee")
    return "".join(changes[rng.integers(3)] if n in places else char for n, char in enumerate(text))


def broken_slice() -> None:
    """Of the sentences of 25 words or more, three in ten get the other answer."""
    rows = answered()
    hit = (rows["text"].str.split().str.len() >= 25) & (np.random.default_rng(0).random(len(rows)) < 0.3)
    measure(rows.assign(logits=[-logits if turn else logits for logits, turn in zip(rows["logits"], hit, strict=True)]))


def broken_calibration() -> None:
    """A model three times as sure of itself as the one whose calibration was fitted."""
    measure(answered(), sharper=3.0)


def flipped_labels() -> None:
    """The export names its outputs in the other order."""
    signature = read_json(LINE.file("export", "signature.json"))
    write_json(LINE.file("export", "signature.json"), {**signature, "labels": signature["labels"][::-1]})


def wrong_tokenizer() -> None:
    """A tokenizer that does not lower letters before it looks words up."""
    content = read_json(LINE.file("train", "tokenizer.json"))
    content["normalizer"]["lowercase"] = False
    write_json(LINE.file("train", "tokenizer.json"), content)


QUALITY_FAULTS: dict[str, tuple[Callable[[], None], str]] = {
    "1 % of test in train, exact": (copies_in_train(0.01, edited=False), "leakage.test.exact"),
    "5 % of test in train, exact": (copies_in_train(0.05, edited=False), "leakage.test.exact"),
    "1 % of test in train, edited": (copies_in_train(0.01, edited=True), "leakage.test.near"),
    "5 % of test in train, edited": (copies_in_train(0.05, edited=True), "leakage.test.near"),
    "one slice broken": (broken_slice, "slice length 25+: accuracy"),
    "calibration broken": (broken_calibration, "calibration.ece_debiased"),
}
RELEASE_FAULTS: dict[str, tuple[Callable[[], None], str]] = {
    "label order flipped": (flipped_labels, "labels"),
    "wrong tokenizer": (wrong_tokenizer, "tokenizer"),
}
"""Each fault, and the check that is meant for it."""
