"""A request's answers as bytes of the spool, and those bytes as rows of the tables."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson

from serving.log import projection
from serving.log.descriptors import describe
from serving.log.record import Answered, Feedback
from serving.log.settings import LogSettings
from tasks.text import split_key

PUBLIC = "tidegate"
"""Keys the hashes of texts that stand beside them anyway."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PER_TEXT = ("label", "characters", "words", "non_letters", "script", "script_share")

Row = dict[str, Any]


class Encoder:
    """Turns what the log is told into records. What is not to be kept never reaches the disk."""

    def __init__(self, settings: LogSettings) -> None:
        """Raises SettingsError where a key is needed and the environment has none."""
        self.text, self.width, self.key = settings.text, settings.projection, settings.key()

    def answers(self, given: Answered) -> bytes:
        """A record of all texts of a request."""
        told = describe(given.texts)
        record = {
            "time": microseconds(given.time), "request_id": given.request_id, "line": given.line,
            "release": given.release, "variant": given.variant, "role": given.role, "source": given.source,
            "latency_ms": round(given.latency_ms, 3),
            "text": self._texts(given.texts),
            "content": self._contents(given.texts),
            "label": list(given.labels),
            "probabilities": _packed(given.probabilities.astype("<f4", copy=False)),
            "projection": _packed(projection.project(given.embeddings, self.width)),
            "projected_by": projection.name(given.embeddings.shape[1], self.width),
            "characters": told.characters, "words": told.words, "non_letters": told.non_letters,
            "script": told.script, "script_share": told.script_share,
            "in_scope": None if given.in_scope is None else list(given.in_scope),
            "listed": None if given.listed is None else [list(labels) for labels in given.listed],
        }  # fmt: skip
        return _dumped(record)

    def feedback(self, given: Feedback) -> bytes:
        """A record of one label."""
        return _dumped(
            {
                "time": microseconds(given.time), "request_id": given.request_id, "position": given.position,
                "line": given.line, "true_label": given.label, "source": given.source,
            }
        )  # fmt: skip

    def _texts(self, texts: Sequence[str]) -> list[str] | None:
        if self.text == "masked":
            return list(texts)
        if self.text == "off" or self.key is None:
            return None
        secret = self.key.encode()
        return [hmac.digest(secret, text.encode("utf-8", "surrogatepass"), "sha256").hex() for text in texts]

    def _contents(self, texts: Sequence[str]) -> str | None:
        """None where nothing that could be guessed from may be kept: no text, and no secret to key its hash."""
        if self.key is None and self.text != "masked":
            return None
        return "".join([content(text, self.key) for text in texts])


def content(text: str, key: str | None) -> str:
    """Names a masked text whatever its case and spaces: 128 bits, as hex, keyed by the log's secret."""
    return split_key(text, PUBLIC if key is None else hashlib.sha256(b"content" + key.encode()).hexdigest())


def decoded(payload: bytes) -> tuple[list[Row], list[Row]]:
    """The rows of predictions and of feedback that a record stands for."""
    record = orjson.loads(payload)
    if "true_label" in record:
        record["label"] = record.pop("true_label")
        return [], [record]
    rows = len(record["label"])
    every = {name: value for name, value in record.items() if name not in _PER_TEXT}
    texts = every.pop("text") or [None] * rows
    scope = every.pop("in_scope", None) or [None] * rows  # a program that knew of none may have left the record
    lists = every.pop("listed", None) or [None] * rows
    listed = [None if labels is None else orjson.dumps(labels).decode() for labels in lists]
    contents = _parts(bytes.fromhex(every.pop("content") or ""), rows)
    joined = base64.b64decode(every.pop("probabilities"))
    probabilities = _parts(joined, rows)
    confidence = np.frombuffer(joined, "<f4").reshape(rows, -1).max(axis=1).tolist()
    projections = _parts(base64.b64decode(every.pop("projection")), rows)
    told = [record[name] for name in _PER_TEXT]
    names = ("position", "text", "content", "probabilities", "confidence", "projection", "in_scope", "listed")
    values = (range(rows), texts, contents, probabilities, confidence, projections, scope, listed)
    columns = zip(*values, *told, strict=True)
    return [{**every, **dict(zip((*names, *_PER_TEXT), row, strict=True))} for row in columns], []


def microseconds(time: datetime) -> int:
    """Microseconds since 1970, UTC: what the tables hold."""
    return (time - _EPOCH) // timedelta(microseconds=1)


def when(time: int) -> datetime:
    """The time that so many microseconds stand for."""
    return _EPOCH + timedelta(microseconds=time)


def _packed(values: Any) -> str:
    return base64.b64encode(values.tobytes()).decode()


def _parts(joined: bytes, rows: int) -> list[bytes | None]:
    size = len(joined) // rows if rows else 0
    return [joined[n * size : (n + 1) * size] or None for n in range(rows)]


def _dumped(record: Row) -> bytes:
    """JSON that every database takes: no NUL and no half of a surrogate pair."""
    try:
        payload = orjson.dumps(record, option=orjson.OPT_SERIALIZE_NUMPY)
    except TypeError:
        return orjson.dumps(_plain(record), option=orjson.OPT_SERIALIZE_NUMPY)
    if b"\\u0000" in payload:
        return orjson.dumps(_plain(record), option=orjson.OPT_SERIALIZE_NUMPY)
    return payload


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode().replace("\0", "?")
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value
