"""Callers of every kind, who know what each release should have answered: the load of the soak test."""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from load import Answer, Broken, Connection

from tasks.core.files import read_json
from tasks.inference import Model

SIZES = {1: 60, 4: 20, 16: 12, 64: 7, 200: 1}
"""Texts in a request, and how often of a hundred."""
EXACT = 1e-3  # fp32 does not depend on what else is in the batch
INT8 = 2.0  # times the release's own tolerance: int8 does, and of thousands of texts some are beyond what a few showed
DEADLINE_MS = 60_000  # a busy machine is slow, and that is no fault
PAUSE_SECONDS = 0.03  # on average between two requests of a caller, so that queues empty now and then
FEEDBACK_SHARE, BAD_SHARE = 0.05, 0.05
BAD: Sequence[tuple[str, bytes, int]] = (
    ("/v1/lines/nothing/predict", b'{"texts": ["a"]}', 404),
    ("/v1/lines/..%2f..%2fetc/predict", b'{"texts": ["a"]}', 404),
    ("/v1/lines/sentiment/predict", b'{"texts": []}', 422),
    ("/v1/lines/sentiment/predict", b'{"texts": ["  "]}', 422),
    ("/v1/lines/sentiment/predict", b'{"texts": "a"}', 422),
    ("/v1/lines/sentiment/predict", b'{"texts": ["a"], "text": "a"}', 422),
    ("/v1/lines/sentiment/predict", b'{"texts": [', 422),
    ("/v1/lines/sentiment/predict", json.dumps({"texts": ["a"] * 1000}).encode(), 422),
    ("/v1/lines/sentiment/predict", json.dumps({"texts": ["a" * (5 << 20)]}).encode(), 413),
)


@dataclass(frozen=True)
class Known:
    """What a release says of each text when it is asked for that text alone."""

    answers: dict[str, dict[str, float]]
    tolerance: float

    @classmethod
    def of(cls, bundle: Path, variant: str, texts: Sequence[str]) -> "Known":
        """Ask the model itself."""
        model = Model.load(bundle, variant)
        labels = model.signature.labels
        said = {text: dict(zip(labels, model.predict([text]).probabilities[0].tolist(), strict=True)) for text in texts}
        return cls(said, INT8 * read_json(bundle / "warmup.json")["tolerance"] if variant == "int8" else EXACT)

    def fault(self, text: str, label: str, given: dict[str, float]) -> str | None:
        """What is wrong with an answer; None where nothing is."""
        known = self.answers[text]
        off = max(abs(given.get(name, 9) - value) for name, value in known.items())
        if off > self.tolerance:
            return f"{text[:40]!r}: probabilities {given}, should be {known}"
        first, second = sorted(known.values(), reverse=True)[:2]
        if first - second > 2 * self.tolerance and label != max(known, key=lambda name: known[name]):
            return f"{text[:40]!r}: label {label}, should be the most probable of {known}"
        return None if label == max(given, key=lambda name: given[name]) else f"label {label} of {given}"


@dataclass
class Tally:
    """What came of all requests."""

    codes: Counter[str] = field(default_factory=Counter)
    texts: dict[str, int] = field(default_factory=dict)
    """By request id, of the answered ones."""
    unanswered: int = 0
    feedback: int = 0
    """True labels that were taken."""
    wrong: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    again: int = 0
    """Requests sent once more, as the connection was closed while it was idle."""
    seen: dict[str, float] = field(default_factory=dict)
    """By release, when it answered last."""


class Callers:
    """So many callers at once. `known` is by line and release."""

    def __init__(self, port: int, known: dict[str, dict[str, Known]], texts: Sequence[str], count: int) -> None:
        self.port, self.known, self.texts, self.count = port, known, texts, count
        self.tally = Tally()
        self.forgiving = False
        """Whether connections may break, as they do when the service is killed."""
        self.plain = False
        """Whether there is nothing but requests for labels."""

    async def run(self, done: Callable[[], bool]) -> None:
        """Ask until `done`."""
        await asyncio.gather(*(self._caller(random.Random(n), done) for n in range(self.count)))  # noqa: S311

    async def _caller(self, chance: random.Random, done: Callable[[], bool]) -> None:
        connection = Connection("127.0.0.1", self.port)
        while not done():
            share = 1.0 if self.plain else chance.random()
            kind = self._bad if share < BAD_SHARE else self._predict
            try:
                await kind(connection, chance)
            except (Broken, TimeoutError) as error:
                connection.close()
                self.tally.unanswered += 1
                if self.forgiving:
                    break
                self.tally.failed.append(repr(error))
            await asyncio.sleep(chance.expovariate(1 / PAUSE_SECONDS))
        self.tally.again += connection.again
        connection.close()

    async def _predict(self, connection: Connection, chance: random.Random) -> None:
        line = chance.choice(sorted(self.known))
        texts = chance.choices(self.texts, k=chance.choices(list(SIZES), list(SIZES.values()))[0])
        body = json.dumps({"texts": texts, "deadline_ms": DEADLINE_MS}).encode()
        answer = await connection.ask("POST", f"/v1/lines/{line}/predict", body)
        self.tally.codes[str(answer.code)] += 1
        if answer.code == 429:
            if "retry-after" not in answer.headers:
                self.tally.failed.append("429 without Retry-After")
        elif answer.code != 200:
            self._fail(answer)
        else:
            content = json.loads(answer.body)
            self.tally.texts[content["request_id"]] = len(texts)
            self.tally.seen[content["release"]] = time.monotonic()
            self._check(line, texts, content)
            if not self.plain and chance.random() < FEEDBACK_SHARE:
                await self._feedback(connection, line, content)

    def _check(self, line: str, texts: Sequence[str], content: dict[str, Any]) -> None:
        known = self.known[line].get(content["release"])
        if known is None or content["line"] != line or len(content["predictions"]) != len(texts):
            self.tally.wrong.append(f"{line}: {len(content['predictions'])} answers by {content['release']}")
            return
        for text, given in zip(texts, content["predictions"], strict=True):
            if fault := known.fault(text, given["label"], given["probabilities"]):
                self.tally.wrong.append(f"{line}, {content['release']}: {fault}")

    async def _feedback(self, connection: Connection, line: str, content: dict[str, Any]) -> None:
        labels = [prediction["label"] for prediction in content["predictions"]]
        body = json.dumps({"request_id": content["request_id"], "labels": labels}).encode()
        answer = await connection.ask("POST", f"/v1/lines/{line}/feedback", body)
        self.tally.codes[str(answer.code)] += 1
        if answer.code == 202:
            self.tally.feedback += len(labels)
        else:
            self._fail(answer)

    async def _bad(self, connection: Connection, chance: random.Random) -> None:
        path, body, code = chance.choice(BAD)
        answer = await connection.ask("POST", path, body)
        self.tally.codes[str(answer.code)] += 1
        if answer.code != code:
            self._fail(answer, f"{path} {body[:40]!r} was to get {code}: ")

    def _fail(self, answer: Answer, what: str = "") -> None:
        self.tally.failed.append(f"{what}{answer.code} {answer.body[:200]!r}")
