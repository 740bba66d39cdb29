"""What learns labels from texts: the rows of a line, a base model over them, and how both are left behind."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tasks.batches import Tokens, tokenize
from tasks.core.errors import DataError, SettingsError, SourceError
from tasks.core.files import read_json, read_parquet
from tasks.core.line import Line
from tasks.embedding import compute_in_bf16, restore, shrink

if TYPE_CHECKING:
    import pandas as pd

    from tasks.train import TrainSettings

VALIDATION_BATCH = 128


class Learner:
    """A model with its training and validation rows: what a kind's task (tasks.trainer.Task) begins with.

    `tokens`, `targets` and `given` are of the training rows, `validation` and `actual` of the validation rows; targets
    and actual are label indices, `given` holds probabilities in the order of the labels or null.
    """

    def __init__(self, line: Line, settings: "TrainSettings", base: Path, bf16: bool, auto: Any, **more: Any) -> None:
        """Read the rows and load the base model by `auto`, a class's name in transformers or a class like those.

        Raises DataError, SettingsError or SourceError.
        """
        self.labels: list[str] = read_json(line.file("label", "labels.json"))
        rows = {side: _rows(line, side, self.labels) for side in ("train", "validation")}
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.bf16 = bf16
        self.tokenizer, self.model = load_base(base, auto, self.labels, settings, **more)
        self.tokens, self.validation = (
            tokenize(self.tokenizer, rows[side]["text"].tolist(), settings.max_length) for side in rows
        )
        ids = np.union1d(self.tokens.ids, self.validation.ids)
        self.embedding = shrink(self.model, ids, self.tokenizer.pad_token_id)
        self.cast = compute_in_bf16(self.model) if bf16 and self.device.type == "cpu" else None
        self.model.to(self.device)
        self.lengths = self.tokens.lengths
        self.targets, self.actual = (_codes(rows[side]["label"], self.labels) for side in rows)
        self.given: pd.Series[Any] = rows["train"]["soft"]

    def begin(self) -> bool:
        """Start from the base model as it was loaded; its head says nothing yet."""
        return False

    def said(self, inputs: dict[str, torch.Tensor]) -> Any:
        """The model's output for a batch, computed in bf16 where that was asked for."""
        with self.precision():
            return self.model(**inputs)

    def precision(self) -> Any:
        """The context in which the model computes."""
        return torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext()

    def batch(self, tokens: Tokens, rows: np.ndarray) -> dict[str, torch.Tensor]:
        """`input_ids` and `attention_mask` of some rows, where the model is."""
        return tokens.batch(rows, self.device)

    def refit(self, _history: list[dict[str, float]]) -> None:
        """Never: what stopped the training is not trained on."""

    def finish(self) -> None:
        """Give the model back what it was loaded with: its whole embedding, in fp32."""
        restore(self.model, self.embedding)
        self.embedding = None
        if self.cast is not None:
            self.cast.remove()

    def save(self, out: Path) -> None:
        """Write config.json, model.safetensors, tokenizer.json and tokenizer_config.json."""
        self.finish()
        self.model.save_pretrained(out)
        self.tokenizer.save_pretrained(out)
        (out / "model.safetensors").chmod(0o644)


def _rows(line: Line, side: str, labels: list[str]) -> "pd.DataFrame":
    """One side of the split. Raises DataError when it cannot be learnt from or scored on."""
    path = line.file("split", f"{side}.parquet")
    frame = read_parquet(path, ["text", "label", "soft"] if side == "train" else ["text", "label"])
    counts = frame["label"].value_counts()
    if len(labels) < 2:
        raise DataError(f"{line.file('label', 'labels.json')} names {labels}: a model needs two labels or more.")
    if unknown := sorted(set(counts.index) - set(labels)):
        raise DataError(
            f"{path} holds labels outside the set {labels}: {', '.join(map(str, unknown))}. Run label again."
        )
    if frame.empty:
        raise DataError(
            f"{path} holds no rows. Bring more data, or give {side} a larger share in lines.{line.name}.split."
        )
    if side == "train" and (missing := [label for label in labels if label not in counts.index]):
        raise DataError(
            f"{path} holds no row labelled {', '.join(missing)} ({len(frame)} rows in all). Bring more data, or take "
            f"the label out of lines.{line.name}.label.labels."
        )
    return frame


def _codes(labels: "pd.Series[str]", names: list[str]) -> np.ndarray:
    return labels.map({name: code for code, name in enumerate(names)}).to_numpy(dtype=np.int64, copy=True)


def load_base(base: Path, auto: Any, labels: list[str], settings: "TrainSettings", **more: Any) -> tuple[Any, Any]:
    """Tokenizer and model; what the base model does not bring is drawn from the seed.

    Raises SourceError where the folder holds no text encoder, SettingsError where it cannot take `max_length` tokens.
    """
    import transformers
    from safetensors import SafetensorError

    with torch.random.fork_rng(), _quiet():
        torch.manual_seed(settings.seed)
        try:
            tokenizer: Any = transformers.AutoTokenizer.from_pretrained(base, local_files_only=True)
            kind = getattr(transformers, auto) if isinstance(auto, str) else auto
            model: Any = kind.from_pretrained(
                base,
                local_files_only=True,
                use_safetensors=True,
                dtype=torch.float32,
                attn_implementation=_attention(),
                id2label=dict(enumerate(labels)),
                label2id={label: code for code, label in enumerate(labels)},
                **more,
            )
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise SourceError(f"The base model in {base} cannot be loaded as a text encoder: {reason}") from None
    _fits(tokenizer, model, settings)
    return tokenizer, model


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' bars and its report that the head is new, as it must be."""
    from transformers.utils import logging

    before: Any = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(before[0])
        if before[1]:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _attention() -> str | None:
    """On a CPU, fused attention falls back to a slow path when attention weights are dropped out: plain is faster."""
    return None if torch.cuda.is_available() else "eager"


def _fits(tokenizer: Any, model: Any, settings: "TrainSettings") -> None:
    if not tokenizer.is_fast or tokenizer.pad_token_id is None:
        raise SourceError(
            "The base model's tokenizer cannot be used: it needs a tokenizer.json with a padding token. "
            "Choose another train.base_model."
        )
    limit = min(getattr(model.config, "max_position_embeddings", settings.max_length), tokenizer.model_max_length)
    if settings.max_length > limit:
        raise SettingsError(f"train.max_length is {settings.max_length}; the base model takes at most {limit} tokens.")
    tokenizer.model_max_length = settings.max_length
