"""Stage train: a pinned base model, fine-tuned on the training rows to its best epoch."""

import hashlib
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tasks.core.files import read_json, write_json
from tasks.core.line import Line
from tasks.core.settings import Settings
from tasks.core.stage import fingerprint, run_stage
from tasks.encoders import BaseModel, locate
from tasks.kinds import load
from tasks.ranks import RankSettings

if TYPE_CHECKING:
    from tasks.trainer import Report

log = logging.getLogger("tidegate")


class TrainSettings(Settings, block="train"):
    """How a base model is fine-tuned."""

    base_model: BaseModel = Field(description="where it comes from, pinned")
    seed: int = Field(0, ge=0, description="seed of the new head, of the order of rows and of dropout")
    epochs: int = Field(3, ge=1, description="passes over the training rows at most")
    patience: int = Field(2, ge=1, description="epochs without a better validation score after which training stops")
    batch_size: int = Field(32, ge=1, description="rows per step")
    learning_rate: float = Field(1e-4, gt=0, le=1, description="peak of the schedule")
    warmup: float = Field(0.1, ge=0, lt=1, description="share of all steps in which the rate rises; then it falls to 0")
    weight_decay: float = Field(0.01, ge=0, description="of matrices; biases, norms and embeddings do not decay")
    gradient_clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    average: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="decay of a moving average of the weights over the steps, which is judged and kept in their place",
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share of the target spread over all labels")
    soft_labels: bool = Field(
        True, description="learn from the probabilities of labels where label gives them, instead of the label alone"
    )
    head: Literal["new", "probe"] = Field(
        "new",
        description="new: the model's own, drawn from the seed; probe: linear on the mean of the token embeddings, and "
        "at first a logistic regression on the encoder as it comes",
    )
    class_weights: Literal["none", "balanced"] = Field("none", description="balanced: inverse to frequency")
    max_length: int = Field(128, ge=4, description="tokens; longer texts are cut")
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", description="auto: bf16 where the hardware computes it")
    log_steps: int = Field(10, ge=1, description="steps between two records of history.json")
    checkpoint_seconds: float = Field(60.0, ge=0, description="seconds between checkpoints of a running training")
    rank: RankSettings | None = Field(None, description="kind rank: what a history says, and how it is learned from")


def train(line: Line, settings: TrainSettings, out: Path) -> None:
    """Fine-tune the base model on split/train.parquet, keeping the epoch that scores best on split/validation.parquet.

    Writes config.json, model.safetensors, tokenizer.json, tokenizer_config.json and history.json; beside them
    tensorboard/, on which nothing depends. A training that was killed goes on from its last checkpoint in
    .tidegate/checkpoints/ and ends with the same weights as an unbroken one.
    """
    prepare_environment()
    base = locate(settings.base_model)
    from tasks.checkpoints import kept
    from tasks.trainer import fit

    bf16 = computes_in_bf16(settings.precision)
    key, every = run_key(line, bf16), settings.checkpoint_seconds
    with kept(key, every) as keeper, _tensorboard(out / "tensorboard") as report:
        task = load(line.kind, "train").prepare(line, settings, base, bf16)
        history = fit(task, settings, keeper, report)
        if again := task.refit(history):
            with kept(f"{key}-refit", every) as keeper:
                history += behind(history, fit(task, again, keeper, report))
        task.save(out)
        clean_config(out)
        write_json(out / "history.json", history)


def behind(history: list[dict[str, float]], further: list[dict[str, float]]) -> list[dict[str, float]]:
    """The records of a second training, counted on from the end of a first."""
    last = history[-1]
    return [{**entry, **{name: entry[name] + last[name] for name in ("step", "epoch")}} for entry in further]


def prepare_environment() -> None:
    """What torch's libraries read once, when they are loaded."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # the deterministic cuBLAS
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that wait do not burn what a shared machine has left


def computes_in_bf16(precision: str) -> bool:
    """Whether the forward pass runs in bf16; `auto` asks the GPU, or else the CPU, whether it computes in it."""
    import torch

    if precision != "auto":
        return precision == "bf16"
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    features = torch.cpu.get_capabilities()
    return bool(features.get("avx512_bf16") or features.get("amx_bf16") or features.get("bf16"))


def run_key(line: Line, bf16: bool) -> str:
    """Names all that determines the trained weights: params and dependencies of the stage, program, machine."""
    import torch
    import transformers

    cuda = torch.cuda.is_available()
    what = {
        "line": line.name,
        "inputs": fingerprint("train", line),
        "versions": [torch.__version__, transformers.__version__],
        "bf16": bf16,
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if cuda else torch.backends.cpu.get_cpu_capability(),
    }
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def clean_config(folder: Path) -> None:
    """Leave nothing in the written configuration that tells where or from what path it was made."""
    for name in ("config.json", "tokenizer_config.json"):
        content: dict[str, Any] = read_json(folder / name)
        for key in (
            "_name_or_path",
            "name_or_path",
            "special_tokens_map_file",
            "tokenizer_file",
            "is_local",
            "local_files_only",
        ):
            content.pop(key, None)
        write_json(folder / name, content)


@contextmanager
def _tensorboard(folder: Path) -> "Iterator[Report]":
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder)) as writer:

        def report(entry: dict[str, float]) -> None:
            for name in entry.keys() - {"step", "epoch"}:
                writer.add_scalar(name.replace("validation_", "validation/"), entry[name], int(entry["step"]))

        yield report


if __name__ == "__main__":
    run_stage(train)
