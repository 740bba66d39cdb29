"""A release in memory: loaded only when every byte is right, served only when it answers as it did when released."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving.deployment import Beside, Pointer, ServingFolder
from serving.log.record import Role
from tasks import kinds
from tasks.answer_base import Change, Changeable, Changes
from tasks.bundle import Manifest, known_schema, read_manifest
from tasks.core.errors import DataError, StageError
from tasks.core.files import read_json
from tasks.inference import STEP, TOKENS, Model, Reader

log = logging.getLogger("tidegate")

SCHEMA = 1
CHARACTERS = 4  # per token of English text; other scripts have about one token per character
READING = 64  # characters that are cleaned and tokenized in the time in which one token is computed
NAMED = 20  # labels of a message
ROUNDED = 1e-4  # warmup.json has four decimals


class Row(NamedTuple):
    """What the model says of one text."""

    text: str
    """As the text policy of the release left it."""
    label: str
    probabilities: NDArray[np.float32]
    embedding: NDArray[np.float32]
    in_scope: bool | None = None
    """Whether the text has one of the labels at all; None where the release takes every text."""
    listed: Sequence[Any] | None = None
    """What was asked for as a list, the best first; `probabilities` are of these. None where they are of all labels."""


@dataclass(frozen=True)
class Choice:
    """What must be loaded to serve: two pointers that agree in it need the release but once."""

    release: str
    variant: str
    provider: str
    allow_cpu: bool

    @classmethod
    def of(cls, pointer: Pointer, beside: Beside | None = None) -> "Choice":
        """A pointer's champion, or the release beside it."""
        named = beside or pointer
        return cls(named.release, named.variant, pointer.provider, pointer.allow_cpu)


@dataclass(frozen=True, eq=False)
class Served:
    """One variant of one release, loaded and warm. It is let go with the last request that needs it."""

    choice: Choice
    version: str | None
    role: Role
    provider: str
    """`cpu` or `cuda`: what really computes."""
    kind: str
    labels: list[str]
    model: Model
    changes: tuple[Change, ...] = ()
    """What people changed in the base of its answers."""
    out_of_scope: str | None = None
    """What the line calls a text that has none of the labels; None where it has no such name."""

    @property
    def release(self) -> str:
        """The release's id."""
        return self.choice.release

    @property
    def variant(self) -> str:
        """The variant's name."""
        return self.choice.variant

    def compute(self, texts: Sequence[str]) -> list[Row]:
        """Clean, tokenize and label texts given together."""
        clean = self.model.clean
        cleaned = [clean(text) for text in texts] if clean else list(texts)
        found = self.model.predict(cleaned, cleaned=True)
        inside = repeat(None) if found.in_scope is None else found.in_scope.tolist()
        return list(map(Row, cleaned, found.labels, found.probabilities, found.embeddings, inside))

    def readable(self, text: str) -> bool:
        """Whether a text is one that the kind reads: any text, or such as are written in a form of their own."""
        if self.reads_any or self.model.clean is None:
            return True
        try:
            self.model.clean(text).encode()
        except (DataError, ValueError):  # or half of a surrogate pair
            return False
        return True

    @property
    def reads_any(self) -> bool:
        """Whether every text is one that the kind reads."""
        return not isinstance(self.model.answering, Reader)

    @property
    def tells_scope(self) -> bool:
        """Whether it tells of each text if it has one of the labels at all."""
        return bool(self.model.signature.scope)

    @property
    def changeable(self) -> bool:
        """Whether it has a base of answers that people may change."""
        return isinstance(self.model.answering, Changeable)

    def changed(self, changes: Changes) -> "Served":
        """The same release with these changes of its answers; itself where it has no base, or has them already.

        Raises StageError where no answer would be left.
        """
        answering = self.model.answering
        if not isinstance(answering, Changeable) or changes.changes == self.changes:
            return self
        made = answering.changed(changes, self._embeddings)
        return replace(self, labels=made.names, model=replace(self.model, answering=made), changes=changes.changes)

    def _embeddings(self, texts: Sequence[str]) -> NDArray[np.float32]:
        clean = self.model.clean
        return self.model.run([clean(text) for text in texts] if clean else texts, ["embedding"])["embedding"]

    def cost(self, text: str) -> int:
        """Tokens, about, and the reading of what is cut off."""
        tokens = len(text) // (CHARACTERS if text.isascii() else 1) + 3
        return min(tokens, self.model.signature.max_length) + len(text) // READING


def load(folder: ServingFolder, line: str, choice: Choice, cache: Path, threads: int) -> Served:
    """Fetch, verify, load and warm a release, as a champion. Raises TidegateError that says why it cannot serve."""
    bundle = folder.fetch(line, choice.release, cache)
    manifest = read_manifest(bundle)
    _belongs(manifest, line, choice.variant, bundle)
    model, provider = _model(bundle, choice, threads)
    if (manifest.kind, manifest.labels) != (model.signature.kind, model.signature.labels):
        raise StageError(
            f"{bundle}: the manifest says {manifest.kind} of {', '.join(manifest.labels)}, signature.json says "
            f"{model.signature.kind} of {', '.join(model.signature.labels)}. Release the line again."
        )
    replay(model, bundle / "warmup.json")
    warm(model)
    log.info("%s: release %s (%s, %s) is loaded and warm", line, choice.release, choice.variant, provider)
    return Served(
        choice, None, "champion", provider, manifest.kind, manifest.labels, model, out_of_scope=out_of_scope(manifest)
    )


def out_of_scope(manifest: Manifest) -> str | None:
    """What the line of a release calls a text that has none of its labels, if it knows such texts."""
    return (manifest.params.get(f"lines.{manifest.line}.label") or {}).get("out_of_scope")


def _belongs(manifest: Manifest, line: str, variant: str, bundle: Path) -> None:
    if manifest.line != line:
        raise StageError(f"{bundle} is a release of the line {manifest.line}, the pointer serves {line} with it.")
    if variant not in manifest.admissible:
        raise StageError(
            f"The release gate did not admit the variant {variant!r} of {bundle}; admissible: "
            f"{', '.join(manifest.admissible)}. Promote again."
        )


def _model(bundle: Path, choice: Choice, threads: int) -> tuple[Model, str]:
    """The model on the provider that was asked for, or on the CPU where that may stand in for it."""
    try:
        return Model.load(bundle, choice.variant, choice.provider, threads), choice.provider
    except StageError as error:
        if choice.provider == "cpu" or not choice.allow_cpu:
            raise
        log.warning("%s The CPU stands in, as `allow_cpu` says.", error)
        return Model.load(bundle, choice.variant, "cpu", threads), "cpu"


def replay(model: Model, path: Path) -> None:
    """Send the requests that the release keeps. Raises StageError on an answer other than the one it had then."""
    try:
        content = read_json(path)
        known_schema(path, content, SCHEMA)
        if not content["requests"]:
            raise StageError(f"{path} holds no request: nothing says what the release should answer.")
        for number, request in enumerate(content["requests"], start=1):
            answer = model.predict([request["text"]], cleaned=True)
            given = dict(zip(model.signature.labels, answer.probabilities[0].tolist(), strict=True))
            if wrong := differs(given, request["expected"][model.variant], content["tolerance"]):
                raise StageError(f"Warm-up request {number} of {path} is answered otherwise than at release: {wrong}.")
    except FileNotFoundError:
        raise StageError(f"{path} is missing: nothing says what the release should answer.") from None
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise StageError(f"{path} is broken ({type(error).__name__}: {error}). Release the line again.") from None


def differs(given: Mapping[str, float], expected: Mapping[str, Any], tolerance: float) -> str | None:
    """How an answer differs from the one at release, None where it does not.

    Each probability may be off by the tolerance; of a list by that share of its first's, as all of many are small.
    Another label is no difference where the two labels were nearly equal, that is within the tolerance, at release:
    rounding decides there.
    """
    label, probabilities, names = expected["label"], expected["probabilities"], expected.get("listed") or list(given)
    if len(probabilities) != len(names) or not {label, *names} <= given.keys():
        return f"{label} of {len(probabilities)} classes was expected, the model has {', '.join([*given][:NAMED])}"
    then = dict(zip(names, probabilities, strict=True))
    if then[label] < max(then.values()) - ROUNDED:
        return f"{label} was expected, which the order of labels here gives {then[label]}"
    tolerance *= then[label] if "listed" in expected else 1
    off = max(names, key=lambda name: abs(given[name] - then[name]))
    if not abs(given[off] - then[off]) <= tolerance:  # NaN is off as well
        return f"probability {given[off]:.4g} of {off}, expected was {then[off]} give or take {tolerance:.4g}"
    now = max(given, key=lambda name: given[name])
    return f"{now}, expected was {label}" if then[label] - then.get(now, min(probabilities)) > tolerance else None


def warm(model: Model) -> None:
    """Compute single texts of several lengths and the widest batches: no real request is the first of its kind."""
    longest, probe = model.signature.max_length, kinds.load(model.signature.kind, "serve").probe
    length = STEP
    while length < longest:
        model.kept([probe(length)], cleaned=True)
        length *= 2
    for length in (min(STEP, longest), longest):
        model.kept([probe(length)] * max(1, TOKENS // length), cleaned=True)
