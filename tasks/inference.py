"""An exported model over texts, with onnxruntime and tokenizers alone: what gates measure and what serves."""

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from tasks.bundle import known_schema
from tasks.core.errors import StageError
from tasks.core.files import read_json
from tasks.kinds import load

if TYPE_CHECKING:
    import onnxruntime as ort
    from tokenizers import Encoding, Tokenizer

log = logging.getLogger("tidegate")

SCHEMA = 1
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
STEP = 8  # lengths are rounded up to multiples of it: fewer shapes, so that the arena's memory stays bounded
TOKENS = 1024  # tokens in a batch at most, padding included; more no longer fit the caches of a core
PROBE_ROUNDS = 5  # runs per variant when the fastest is looked for

Outputs = dict[str, NDArray[Any]]


@runtime_checkable
class Reader(Protocol):
    """What makes answers of texts that no tokenizer reads."""

    def read(self, session: "ort.InferenceSession", texts: Sequence[str]) -> Outputs:
        """What the answers to texts are made of."""


class File(BaseModel):
    """One variant's file, relative to the folder of the variants, and its size in bytes."""

    model_config = ConfigDict(frozen=True)

    file: str
    size: int


class Signature(BaseModel):
    """signature.json: what an exported model takes and gives."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: int
    kind: str
    labels: list[str]
    max_length: int
    pad_id: int
    inputs: list[str]
    outputs: list[str]
    opset: int
    variants: dict[str, File]
    calibration: dict[str, Any] = {}
    """By variant, as tasks.calibration has it; empty where the graphs themselves calibrate."""
    scope: dict[str, Any] = {}
    """By variant, as tasks.scope has it; empty where every text is taken."""
    tastes: dict[str, float] = {}
    """Kind rank: where ratings begin to say that an item is liked, or is not."""

    @model_validator(mode="after")
    def _bounds_all_or_none(self) -> "Signature":
        if self.scope and (missing := sorted(set(self.variants) - set(self.scope))):
            raise ValueError(f"scope has no threshold of {', '.join(missing)}")
        return self


def read_signature(path: Path) -> Signature:
    """Read signature.json. Raises StageError when it is missing, broken or a newer program wrote it."""
    try:
        content = read_json(path)
        known_schema(path, content, SCHEMA)
        return Signature.model_validate(content)
    except FileNotFoundError:
        raise StageError(f"{path} is missing: {path.parent} is no exported model or release.") from None
    except (json.JSONDecodeError, UnicodeDecodeError, ValidationError) as error:
        raise StageError(f"{path} is broken ({str(error).splitlines()[0]}). Export again.") from None


@dataclass(frozen=True)
class Model:
    """A loaded variant. Answers do not depend on the order of the texts given together.

    int8 answers do depend, slightly, on which texts are given together: its activations are scaled per batch.
    """

    signature: Signature
    variant: str
    session: "ort.InferenceSession"
    tokenizer: "Tokenizer"
    clean: Callable[[str], str] | None = None
    """The text policy of the release; None where the texts come cleaned."""
    answering: Callable[[Outputs], Any] | None = None
    """What the kind makes of the graph's outputs; None where they alone are asked for."""

    @classmethod
    def load(
        cls, folder: Path, variant: str | None = None, provider: str | None = None, threads: int | None = None
    ) -> "Model":
        """Load a release's folder: `<variant>.onnx`, tokenizer.json, signature.json, text_policy.json.

        Without a `variant` the admissible one that is fastest on this machine. `provider` is `cpu` (the default) or
        `cuda`; `threads` defaults to the machine's cores. Raises StageError on what is not there.
        """
        signature = read_signature(folder / "signature.json")
        clean = load(signature.kind, "serve").cleaning(read_policy(folder / "text_policy.json"))
        names = [variant] if variant else sorted(signature.variants)
        loaded = [cls.open(folder, folder / "tokenizer.json", signature, n, provider, threads, clean) for n in names]
        return loaded[0] if len(loaded) == 1 else fastest(loaded)

    @classmethod
    def open(
        cls,
        variants: Path,
        tokenizer: Path,
        signature: Signature,
        variant: str,
        provider: str | None = None,
        threads: int | None = None,
        clean: Callable[[str], str] | None = None,
    ) -> "Model":
        """Load one variant from the folder of the variants, with a tokenizer that may lie elsewhere."""
        if variant not in signature.variants:
            raise StageError(f"There is no variant {variant!r}; there are {', '.join(sorted(signature.variants))}.")
        session = open_session(variants / signature.variants[variant].file, provider, threads)
        answering = load(signature.kind, "serve").answering(variants, signature, variant)
        return cls(signature, variant, session, read_tokenizer(tokenizer, signature.max_length), clean, answering)

    def predict(self, texts: Sequence[str], cleaned: bool = False) -> Any:
        """The kind's answers for texts (labels, probabilities, embeddings), in their order.

        The release's text policy is applied first, unless the texts are `cleaned` already.
        """
        if self.answering is None:
            raise StageError(f"{self.variant} was loaded for the outputs of its graph alone. Load it by Model.open.")
        if self.clean and not cleaned:
            texts = [self.clean(text) for text in texts]
        if isinstance(self.answering, Reader):
            return self.answering(self.answering.read(self.session, texts))
        return self.answering(self.run(texts, load(self.signature.kind, "serve").OUTPUTS))

    def kept(self, texts: Sequence[str], cleaned: bool = False) -> Any:
        """The kind's answers as a release, the log and a file keep them: of lists of all there is the first alone."""
        if self.clean and not cleaned:
            texts = [self.clean(text) for text in texts]
        return load(self.signature.kind, "serve").kept(self, texts)

    def run(self, texts: Sequence[str], outputs: Sequence[str]) -> Outputs:
        """The named outputs [rows, ...] of the graph, for texts as they are."""
        encoded = self.tokenizer.encode_batch_fast(list(texts))
        widths = {output.name: output.shape[1] for output in self.session.get_outputs()}
        result = {name: np.empty((len(texts), widths[name]), dtype=np.float32) for name in outputs}
        for rows in batches([len(encoding) for encoding in encoded]):
            for name, values in zip(outputs, self._run([encoded[row] for row in rows], outputs), strict=True):
                result[name][rows] = values
        return result

    def _run(self, encoded: Sequence["Encoding"], outputs: Sequence[str]) -> list[NDArray[np.float32]]:
        shape = (len(encoded), padded(max(len(encoding) for encoding in encoded), self.signature.max_length))
        ids = np.full(shape, self.signature.pad_id, dtype=np.int64)
        mask = np.zeros(shape, dtype=np.int64)
        for row, encoding in enumerate(encoded):
            ids[row, : len(encoding)] = encoding.ids
            mask[row, : len(encoding)] = 1
        answer: list[NDArray[np.float32]] = self.session.run(list(outputs), {"input_ids": ids, "attention_mask": mask})
        return answer


def padded(length: int, longest: int) -> int:
    """The length that texts of `length` tokens are padded to."""
    return min(-(-length // STEP) * STEP, longest)


def batches(lengths: Sequence[int], tokens: int = TOKENS) -> Iterator[NDArray[np.int64]]:
    """Places of texts of like length, in batches of at most `tokens` tokens with padding (or of one text)."""
    order = np.argsort(lengths, kind="stable")
    end = len(order)
    while end:
        size = max(1, tokens // (-(-lengths[order[end - 1]] // STEP) * STEP))
        yield order[max(0, end - size) : end]
        end = max(0, end - size)


def fastest(models: Sequence[Model]) -> Model:
    """The model that answers soonest here: single requests and a small batch, best of some rounds, taken in turns."""
    kind = load(models[0].signature.kind, "serve")
    probe = [kind.probe(14), kind.probe(26)] * 8
    best = dict.fromkeys(range(len(models)), float("inf"))
    for _ in range(PROBE_ROUNDS):
        for n, model in enumerate(models):
            start = time.perf_counter()
            model.predict(probe, cleaned=True)
            model.predict(probe[:1], cleaned=True)
            best[n] = min(best[n], time.perf_counter() - start)
    chosen = models[min(best, key=lambda n: best[n])]
    log.info("%s is the fastest variant here", chosen.variant)
    return chosen


def open_session(path: Path, provider: str | None = None, threads: int | None = None) -> "ort.InferenceSession":
    """An onnxruntime session at the optimisation level that serves.

    Raises StageError when the file is not readable, or when the provider that was asked for is not the one that came:
    onnxruntime falls back to the CPU without a word.
    """
    import onnxruntime as ort

    wanted = provider or "cpu"
    if wanted not in PROVIDERS:
        raise StageError(f"There is no provider {wanted!r}; there are {', '.join(PROVIDERS)}.")
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # one pattern per shape would be kept for ever
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(path, options, providers=[PROVIDERS[wanted]])
    except Exception as error:  # onnxruntime's own errors share no base class
        raise StageError(f"{path} cannot be loaded by onnxruntime: {str(error).splitlines()[0]}") from None
    if session.get_providers()[0] != PROVIDERS[wanted]:
        raise StageError(
            f"{PROVIDERS[wanted]} was asked for, onnxruntime came up with {session.get_providers()[0]}. "
            "Look at `tidegate doctor`, or ask for cpu."
        )
    return session


def read_tokenizer(path: Path, max_length: int) -> "Tokenizer":
    """tokenizer.json, cutting at `max_length` tokens and padding nothing."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises plain Exception
        raise StageError(f"{path} is not readable as a tokenizer: {error}") from None
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    return tokenizer


def read_policy(path: Path) -> Callable[[str], str] | None:
    """The text policy of a release as a function; None where the folder has none.

    Raises StageError when the release has settings that this program does not know, or when this program's policy
    answers other than the release's test vectors.
    """
    if not path.exists():
        return None
    from tasks.text import TextSettings, clean

    content = read_json(path)
    known_schema(path, content, SCHEMA)
    if unknown := sorted(set(content["settings"]) - set(TextSettings.model_fields)):
        raise StageError(
            f"{path} has settings of the text policy that this program does not know: {', '.join(unknown)}. "
            "Use the Tidegate version that made the release, or a later one."
        )
    settings = TextSettings.model_validate(content["settings"])
    wrong = sum(clean(given, settings) != expected for given, expected in content["vectors"])
    if wrong:
        raise StageError(
            f"The text policy of this program answers {wrong} of {len(content['vectors'])} test vectors of {path} "
            f"otherwise (policy version {content['version']}). Use the Tidegate version that made the release."
        )
    return lambda text: clean(text, settings)
