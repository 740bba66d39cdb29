"""Training beside the Hugging Face Trainer: same model, rows, epochs, batch size, schedule, in one run.

    python benchmarks/train.py                      # 5 seeds, all training rows of the default line
    python benchmarks/train.py --quick              # 1 seed, 640 rows, 1 epoch: a proof that it works
    python benchmarks/train.py --seeds 3 --rows 1500

The sides are Tidegate (`tasks.trainer`), the Trainer with its defaults, and the Trainer tuned (bf16 where the machine
has it, rows grouped by length). Each training runs in a process of its own, the sides in turn, so that a slow spell of
the machine hits all. Timed is the training loop alone: no validation, no loading. Test rows are judged in fp32.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tasks.core.files import read_parquet, write_json  # noqa: E402
from tasks.core.line import STATE, Line  # noqa: E402
from tasks.core.quiet import silence  # noqa: E402
from tasks.core.settings import line_params, parse, read_params  # noqa: E402
from tasks.train import TrainSettings, computes_in_bf16, prepare_environment  # noqa: E402

LINE = Line("sentiment")
SIDES = {"tidegate": "Tidegate", "default": "Trainer, defaults", "tuned": "Trainer, bf16 and grouped by length"}
DRAWS = 2000

Figures = dict[str, Any]


def main() -> int:
    """Run all trainings, or with --side one of them."""
    silence()
    arguments = parser().parse_args()
    if arguments.quick:
        arguments.seeds, arguments.rows, arguments.epochs = 1, 640, 1
    with contextlib.chdir(ROOT):
        if not LINE.file("split", "train.parquet").exists():
            print(
                "error: data/sentiment/split is missing. Run `tidegate run sentiment --until split`.", file=sys.stderr
            )
            return 1
        if importlib.util.find_spec("accelerate") is None:
            print("error: the Trainer needs accelerate: `pip install accelerate`.", file=sys.stderr)
            return 1
        if arguments.side:
            write_json(arguments.out, one(arguments))
            return 0
        runs = {side: [] for side in SIDES}
        for seed in range(arguments.seeds):
            for side in SIDES:
                runs[side].append(child(arguments, side, seed))
        show(runs, arguments)
        write_json(STATE / "benchmarks" / "train.json", {side: slim(each) for side, each in runs.items()})
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("--seeds", type=int, default=5, help="trainings of each side, each with its seed (5)")
    top.add_argument("--rows", type=int, help="train on the first so many rows only")
    top.add_argument("--epochs", type=int, help="instead of params.yaml's")
    top.add_argument("--threads", type=int, help="of torch; 1 makes CPU seconds comparable on a busy machine")
    top.add_argument("--quick", action="store_true", help="1 seed, 640 rows, 1 epoch")
    top.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    top.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    top.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    return top


def child(arguments: argparse.Namespace, side: str, seed: int) -> Figures:
    """One training in a process of its own, with the environment that the side sets up itself."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "figures.json")
        command = [sys.executable, __file__, "--side", side, "--seed", str(seed), "--out", str(out)]
        for name in ("rows", "epochs", "threads"):
            if (value := getattr(arguments, name)) is not None:
                command += [f"--{name}", str(value)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        if ran.returncode:
            raise SystemExit(f"{SIDES[side]}, seed {seed}, failed:\n{ran.stdout[-2000:]}{ran.stderr[-2000:]}")
        figures: Figures = json.loads(out.read_text())
    print(f"seed {seed}, {SIDES[side]}: {figures['rows_per_second']:.1f} rows/s", file=sys.stderr)
    return figures


def one(arguments: argparse.Namespace) -> Figures:
    """Train one side once: rows/s of the loop, and what the model says of the test rows."""
    if arguments.side == "tidegate":
        prepare_environment()
    given = {"seed": arguments.seed} | ({"epochs": arguments.epochs} if arguments.epochs else {})
    block = line_params(read_params(), LINE.name)["train"] | given
    settings = parse(TrainSettings, block, "train")
    task = prepared(settings, arguments.rows, arguments.side)
    if arguments.threads:
        import torch

        torch.set_num_threads(arguments.threads)
    start, cpu = time.perf_counter(), time.process_time()
    (tidegate if arguments.side == "tidegate" else trainer)(task, settings, arguments.side)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    actual, predicted = test(task, settings.max_length)
    rows = len(task.lengths) * settings.epochs
    return {
        "rows_per_second": rows / seconds,
        "cpu_seconds_per_1000_rows": cpu / rows * 1000,
        "load": os.getloadavg()[0],
        "actual": actual.tolist(),
        "predicted": predicted.tolist(),
    }


def prepared(settings: TrainSettings, rows: int | None, side: str) -> Any:
    """Tidegate's task: the same tokenizer, token ids, targets and new head for every side."""
    from tasks.batches import Tokens
    from tasks.encoders import locate
    from tasks.kinds.classify.train import prepare

    task = prepare(LINE, settings, locate(settings.base_model), computes_in_bf16(settings.precision))
    if rows:
        starts = task.tokens.starts[: rows + 1]
        task.tokens = Tokens(task.tokens.ids, starts, task.tokens.pad)
        task.lengths, task.targets = task.tokens.lengths, task.targets[:rows]
    if side != "tidegate":
        task.model = plain_model(settings, task)
    return task


def plain_model(settings: TrainSettings, task: Any) -> Any:
    """The model as transformers loads it by default, with the head that Tidegate's seed draws."""
    import torch
    from transformers import AutoModelForSequenceClassification

    from tasks.encoders import locate

    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        return AutoModelForSequenceClassification.from_pretrained(
            locate(settings.base_model), num_labels=len(task.labels), dtype=torch.float32
        )


def tidegate(task: Any, settings: TrainSettings, _: str) -> None:
    """Tidegate's loop to its last epoch."""
    from tasks.checkpoints import Keeper
    from tasks.trainer import SCORE, fit

    scores = iter(range(settings.epochs))
    task.validate = lambda: {SCORE: float(next(scores))}
    with tempfile.TemporaryDirectory() as folder:
        fit(task, settings, Keeper(Path(folder), settings.checkpoint_seconds), lambda _: None)
    task.finish()


def trainer(task: Any, settings: TrainSettings, side: str) -> None:
    """The Trainer over the same token ids, with its collator that pads to the longest row of a batch."""
    import torch
    from transformers import DataCollatorWithPadding, Trainer, TrainingArguments

    tokens = task.tokens
    rows = [
        {"input_ids": tokens.ids[first:last].tolist(), "labels": int(target)}
        for first, last, target in zip(tokens.starts, tokens.starts[1:], task.targets, strict=False)
    ]
    steps = settings.epochs * -(-len(rows) // settings.batch_size)
    tuned = {"bf16": computes_in_bf16("auto"), "train_sampling_strategy": "group_by_length"} if side == "tuned" else {}
    with tempfile.TemporaryDirectory() as folder:
        options = TrainingArguments(
            output_dir=folder, num_train_epochs=settings.epochs, per_device_train_batch_size=settings.batch_size,
            learning_rate=settings.learning_rate, warmup_steps=int(settings.warmup * steps),
            weight_decay=settings.weight_decay, max_grad_norm=settings.gradient_clip, seed=settings.seed,
            label_smoothing_factor=settings.label_smoothing, use_cpu=not torch.cuda.is_available(), report_to="none",
            save_strategy="no", disable_tqdm=True, **tuned,
        )  # fmt: skip
        collator = DataCollatorWithPadding(task.tokenizer)
        Trainer(model=task.model, args=options, train_dataset=rows, data_collator=collator).train()


def test(task: Any, max_length: int) -> tuple[np.ndarray, np.ndarray]:
    """True and predicted classes of split/test.parquet, in fp32."""
    import torch

    from tasks.batches import by_length, tokenize

    frame = read_parquet(LINE.file("split", "test.parquet"), ["text", "label"])
    tokens = tokenize(task.tokenizer, frame["text"].tolist(), max_length)
    predicted = np.empty(len(frame), dtype=np.int64)
    task.model.eval()
    device = next(task.model.parameters()).device
    with torch.inference_mode():
        for rows in by_length(tokens.lengths, 128):
            predicted[rows] = task.model(**tokens.batch(rows, device)).logits.argmax(1).cpu().numpy()
    return frame["label"].map(task.labels.index).to_numpy(), predicted


def f1(actual: np.ndarray, predicted: np.ndarray) -> float:
    """Macro F1."""
    scores = []
    for label in np.unique(actual):
        hits = np.sum((actual == label) & (predicted == label))
        scores.append(2 * hits / (np.sum(actual == label) + np.sum(predicted == label)))
    return float(np.mean(scores))


def difference(ours: list[Figures], theirs: list[Figures]) -> tuple[float, float, float]:
    """Mean over seeds of F1 minus F1, with the 95 % interval of a bootstrap over test rows and seeds together."""
    actual = np.array(ours[0]["actual"])
    answers = [(np.array(a["predicted"]), np.array(b["predicted"])) for a, b in zip(ours, theirs, strict=True)]
    rng = np.random.default_rng(0)

    def mean(rows: np.ndarray, seeds: np.ndarray) -> float:
        return float(
            np.mean([f1(actual[rows], a[rows]) - f1(actual[rows], b[rows]) for a, b in map(answers.__getitem__, seeds)])
        )

    everything = np.arange(len(actual)), np.arange(len(answers))
    draws = [mean(*(rng.choice(of, len(of)) for of in everything)) for _ in range(DRAWS)]
    low, high = np.quantile(draws, [0.025, 0.975])
    return mean(*everything), float(low), float(high)


def show(runs: dict[str, list[Figures]], arguments: argparse.Namespace) -> None:
    """The table: speed, ratio to each side with its range over seeds, and quality."""
    ours = runs["tidegate"]
    table = Table(title=f"{len(ours)} seeds, {arguments.rows or 'all'} rows")
    for column in (
        "side",
        "rows/s",
        "CPU s per 1,000 rows",
        "Tidegate is faster by",
        "test F1",
        "Tidegate's F1 less this, 95 %",
    ):
        table.add_column(column, justify="left" if column == "side" else "right")
    for side, each in runs.items():
        ratios = [a["rows_per_second"] / b["rows_per_second"] for a, b in zip(ours, each, strict=True)]
        speed = np.mean([run["rows_per_second"] for run in each])
        quality = np.mean([f1(np.array(run["actual"]), np.array(run["predicted"])) for run in each])
        beside = ("", "")
        if side != "tidegate":
            mean, low, high = difference(ours, each)
            beside = (
                f"{np.mean(ratios):.2f} times ({min(ratios):.2f} to {max(ratios):.2f})",
                f"{mean * 100:+.2f} points ({low * 100:+.2f} to {high * 100:+.2f})",
            )
        cpu = np.mean([run["cpu_seconds_per_1000_rows"] for run in each])
        table.add_row(SIDES[side], f"{speed:.1f}", f"{cpu:.1f}", beside[0], f"{quality:.4f}", beside[1])
    Console(width=140).print(table)
    load = max(run["load"] for each in runs.values() for run in each)
    print(f"{os.cpu_count()} cores, load average up to {load:.1f}")


def slim(runs: list[Figures]) -> list[Figures]:
    """Without the single answers."""
    return [{key: value for key, value in run.items() if key not in ("actual", "predicted")} for run in runs]


if __name__ == "__main__":
    sys.exit(main())
