"""The shipped ONNX variants beside the transformers pipeline and torch eager: same texts, same machine, taken in turns.

    python benchmarks/inference.py
    python benchmarks/inference.py --release FOLDER --checkpoint FOLDER --texts 500 --rounds 3

Throughput is texts per second over all texts at once; latency is that of requests of one text. Everything is measured
from text to answer, tokenizing included. Each round runs every contender once, so that what else the machine does hits
all of them alike; the figures are the best round for throughput, and p50 and p95 over the requests of all rounds.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tasks.core.files import read_parquet
from tasks.core.quiet import silence
from tasks.inference import Model, read_signature

Labels = Sequence[str]
BASELINE = "transformers pipeline"


@dataclass
class Contender:
    """Something that labels texts, and what was measured of it."""

    name: str
    label: Callable[[list[str]], Labels]
    rates: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    answers: Labels = ()

    def throughput(self, texts: list[str]) -> None:
        """Label all texts at once."""
        start = time.perf_counter()
        self.answers = self.label(texts)
        self.rates.append(len(texts) / (time.perf_counter() - start))

    def latency(self, texts: list[str]) -> None:
        """Label texts one by one; the first tenth is warm-up."""
        for n, text in enumerate(texts):
            start = time.perf_counter()
            self.label([text])
            if n >= len(texts) // 10:
                self.latencies.append(1000 * (time.perf_counter() - start))

    def figures(self) -> dict[str, float]:
        """Texts per second, and p50 and p95 in ms."""
        p50, p95 = np.quantile(self.latencies, [0.5, 0.95])
        return {"texts_per_second": max(self.rates), "p50_ms": float(p50), "p95_ms": float(p95)}


def shipped(release: Path) -> list[Contender]:
    """Every variant of the release, through the code that serves it."""

    def contender(variant: str) -> Contender:
        model = Model.load(release, variant)
        return Contender(f"tidegate {variant}", lambda texts: model.predict(texts).labels)

    return [contender(variant) for variant in sorted(read_signature(release / "signature.json").variants)]


def pipelines(checkpoint: Path) -> list[Contender]:
    """The transformers pipeline as it comes, and told to work in batches of 32."""
    from transformers import pipeline

    pipe: Any = pipeline("text-classification", model=str(checkpoint), tokenizer=str(checkpoint))

    def contender(name: str, **options: int) -> Contender:
        return Contender(name, lambda texts: [a["label"] for a in pipe(texts, truncation=True, **options)])

    return [contender(BASELINE), contender(f"{BASELINE}, batches of 32", batch_size=32)]


def eager(checkpoint: Path) -> Contender:
    """torch in batches of 32 texts of like length, as a careful hand would write it."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(checkpoint)
    model: Any = AutoModelForSequenceClassification.from_pretrained(checkpoint).eval()

    def label(texts: list[str]) -> Labels:
        order = np.argsort([len(text) for text in texts], kind="stable")
        labels = np.empty(len(texts), dtype=object)
        with torch.inference_mode():
            for start in range(0, len(texts), 32):
                rows = order[start : start + 32]
                batch = tokenizer([texts[row] for row in rows], padding=True, truncation=True, return_tensors="pt")
                best = model(**batch).logits.argmax(dim=1).tolist()
                labels[rows] = [model.config.id2label[n] for n in best]
        return list(labels)

    return Contender("torch eager, batches of 32", label)


def measure(contenders: list[Contender], texts: list[str], singles: int, rounds: int) -> None:
    """Each contender in turn, round by round."""
    for contender in contenders:
        contender.label(texts[:64])
    chosen = [texts[n] for n in np.linspace(0, len(texts) - 1, singles).astype(int)]
    for _ in range(rounds):
        for contender in contenders:
            contender.throughput(texts)
        for contender in contenders:
            contender.latency(chosen)


def table(contenders: list[Contender]) -> str:
    """The figures, each beside its ratio to the pipeline's."""
    base = next(c for c in contenders if c.name == BASELINE)
    known = base.figures()
    lines = [f"{'':38} {'texts/s':>8} {'ratio':>6} {'p50 ms':>8} {'ratio':>6} {'p95 ms':>8} {'same label':>10}"]
    for contender in contenders:
        found = contender.figures()
        rate, p50, p95 = found.values()
        same = np.mean([a == b for a, b in zip(contender.answers, base.answers, strict=True)])
        lines.append(
            f"{contender.name:38} {rate:8.0f} {rate / known['texts_per_second']:6.2f} "
            f"{p50:8.2f} {p50 / known['p50_ms']:6.2f} {p95:8.2f} {same:10.1%}"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", type=Path, default=Path("data/sentiment/release/bundle"))
    parser.add_argument("--checkpoint", type=Path, default=Path("data/sentiment/train"))
    parser.add_argument("--texts", type=int, default=1000, help="of the release's test rows (default: 1000)")
    parser.add_argument("--singles", type=int, default=100, help="requests of one text per round (default: 100)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    arguments = parser.parse_args()
    silence()
    rows = read_parquet(arguments.release / "reference/rows.parquet", ["text", "side"])
    texts = rows.loc[rows["side"] == "test", "text"].tolist()[: arguments.texts]
    contenders = [*pipelines(arguments.checkpoint), eager(arguments.checkpoint), *shipped(arguments.release)]
    measure(contenders, texts, arguments.singles, arguments.rounds)
    print(f"{len(texts)} texts of {np.mean([len(t.split()) for t in texts]):.0f} words, {os.cpu_count()} cores")
    print(table(contenders))
    if arguments.json:
        arguments.json.write_text(json.dumps({c.name: c.figures() for c in contenders}, indent=2) + "\n")


if __name__ == "__main__":
    main()
