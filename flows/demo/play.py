"""The demonstration: days of traffic, labels that come a day late, an alarm, a retraining, and what it was worth."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from flows import store
from flows.demo import replay
from flows.demo.replay import Row
from flows.demo.timeline import Timeline
from flows.demo.world import WHO, World
from flows.loop import Attempt
from flows.settings import load
from tasks.core.errors import TidegateError
from tasks.core.files import write_json
from tasks.core.line import Line
from tasks.core.progress import progress
from tasks.drift.result import Observation

REQUEST = 16  # texts: what an application sends at once
CONFIDENCE = 0.9
START_SECONDS = 60.0  # within which an alarm starts the loop; ten were seen
SWAP_SECONDS = 60.0
SETTINGS: dict[str, dict[str, Any]] = {
    "monitor": {"min_rows": 100},
    "loop": {"retrain": True, "cool_down_hours": 0, "per_week": 10, "stop_after": 10},
    "promote": {"automatic": True, "approval": "none"},
    "compare": {"margin": 0.03},
}
"""What is other than in the real project: the loop may act at once, and by itself. The margin goes with the 2,100 test
rows of films: they place a difference to 1.2 points either way, and a second training is up to a point off by chance,
so that within 2 points a model that is as good often ends as undecided."""
USUAL, OTHER = "film sentences that no model has seen", "product reviews, tweets and editorials with a few films"


@dataclass(frozen=True)
class Size:
    """How much is played; counts are rows."""

    usual: int = 240  # a day on which all is as the model knows it; there are two
    drifted: int = 2_500  # a day of mostly other texts
    mixed_in: int = 10  # of these, rows such as the model knows
    days: int = 4  # of drift at most, within which the loop must have come to a decision
    later: int = 1_500  # after the promotion, by which both models are measured
    labelled: float = 0.8  # share of a day's rows that people label, a day late
    minutes: float = 25.0  # for the retraining at most
    seed: int = 0


REDUCED = Size(drifted=1_500, later=800)
"""For a check that all of it works."""


@dataclass
class Played:
    """A day's rows with the service's answers."""

    rows: list[Row]
    answers: list[str]
    requests: list[str]
    """One id for each `REQUEST` rows."""

    def right(self) -> list[bool]:
        """Row by row whether the answer is what people say."""
        return [row.label == answer for row, answer in zip(self.rows, self.answers, strict=True)]


class Demo:
    """One playing of the demonstration."""

    def __init__(self, name: str, size: Size) -> None:
        settings = load([name])[name]
        self.line, self.size = Line(name, settings.kind), size
        self.world, self.timeline = World(self.line), Timeline(Console())
        self.random = random.Random(size.seed)  # noqa: S311 - draws rows, keeps no secret
        self.usual, self.other = replay.held_out(self.line), replay.elsewhere(settings)
        self.random.shuffle(self.usual)
        self.random.shuffle(self.other)
        self.unlabelled: Played | None = None
        self.seen: set[str] = set()

    def run(self) -> bool:
        """Play it all; whether everything happened that should."""
        first = self._begin()
        for day in (1, 2):
            found = self._day(day, _take(self.usual, self.size.usual), USUAL)
            self.timeline.claim(f"no alarm on day {day}, when nothing had changed", not found.confirmed)
        began = self.timeline.seconds()
        day, attempt = self._drifting_days(began)
        promoted = attempt is not None and attempt.outcome == "promoted"
        self.timeline.claim("a retraining passed the same gates and was promoted", promoted)
        if attempt is not None and attempt.release and promoted:
            self._afterwards(day + 1, first, attempt.release, began)
        write_json(self.world.folder.with_name("timeline.json"), self.timeline.content())
        self.timeline.show()
        return all(self.timeline.claims.values())

    def _begin(self) -> str:
        self.timeline.say("project", f"A project of its own is made in {self.world.folder}.")
        release = self.world.make(SETTINGS)
        self.world.tidegate("promote", self.line.name, release, "--by", WHO, "--why", "the first champion")
        self.timeline.say("champion", f"Release {release} of {self.line.name} is promoted.", release=release)
        self.world.up()
        places = ", ".join(f"{name} {address}" for name, address in self.world.addresses.items())
        self.timeline.say("up", f"All of it runs: {places}.")
        return release

    def _drifting_days(self, began: float) -> tuple[int, Attempt | None]:
        """The last of them, and the attempt that came to a decision about a release; None where none did."""
        alarmed = False
        for day in range(3, 3 + self.size.days):
            usual = _take(self.usual, self.size.mixed_in)
            rows = usual + _take(self.other, self.size.drifted - len(usual))
            self.random.shuffle(rows)
            found = self._day(day, rows, OTHER)
            if not found.confirmed:
                continue
            if not alarmed:
                alarmed, after = True, self.timeline.seconds() - began
                told = f"It is raised {after:.0f} s after the first of these texts: {found.reason}"
                self.timeline.say("alarm", told, severity=found.severity, seconds_after=after)
                self.timeline.claim("an alarm when other texts came", True)
            attempt = self._attempt()
            if attempt is not None:
                return day, attempt
        if not alarmed:
            self.timeline.claim("an alarm when other texts came", False)
        return day, None

    def _day(self, day: int, rows: list[Row], kind: str) -> Observation:
        """Send a day's rows, tell the labels of the day before, and let the monitor look."""
        played = self._send(f"day {day}", rows)
        self._label()
        self.unlabelled = played
        found = self.world.observe(len(rows))
        right = sum(played.right())
        told = (
            f"{len(rows):,} rows ({kind}); {right / len(rows):.1%} of the answers are right, which nobody knows yet. "
            f"The monitor says {found.health}: {found.reason}"
        )
        self.timeline.say(f"day {day}", told, rows=len(rows), right=right, observation=found.model_dump(mode="json"))
        return found

    def _send(self, what: str, rows: Sequence[Row]) -> Played:
        played = Played(list(rows), [], [])
        with self.world.client() as client, progress(what, len(rows)) as bar:
            for start in range(0, len(rows), REQUEST):
                texts = [row.text for row in rows[start : start + REQUEST]]
                answer = client.post("/predict", json={"texts": texts}).raise_for_status().json()
                played.requests.append(answer["request_id"])
                played.answers += [found["label"] for found in answer["predictions"]]
                bar.update(len(texts))
        return played

    def _label(self) -> None:
        """Tell the service what people say of a share of the day before."""
        if self.unlabelled is None:
            return
        with self.world.client() as client:
            for n, row in enumerate(self.unlabelled.rows):
                if self.random.random() < self.size.labelled:
                    place = {"request_id": self.unlabelled.requests[n // REQUEST], "position": n % REQUEST}
                    client.post("/feedback", json={**place, "label": row.label}).raise_for_status()
        self.unlabelled = None

    def _attempt(self) -> Attempt | None:
        """Wait for what the alarm sets going; the attempt, where it came to a decision about a release."""
        begun = time.monotonic()
        while (waited := time.monotonic() - begun) < 60 * self.size.minutes:
            new = [attempt for attempt in self.world.attempts() if attempt.id not in self.seen]
            if not new and waited > START_SECONDS:
                return None
            if new and new[-1].outcome != "running":
                self.seen |= {attempt.id for attempt in new}
                told = f"Retraining ended after {waited:.0f} s as {new[-1].outcome}: {new[-1].reason}"
                self.timeline.say("loop", told, attempt=new[-1].model_dump(mode="json"))
                return new[-1] if new[-1].release else None
            time.sleep(1)
        raise TidegateError(
            f"Retraining did not end within {self.size.minutes:.0f} minutes. See `tidegate ps` in {self.world.folder}."
        )

    def _afterwards(self, day: int, first: str, second: str, began: float) -> None:
        """Measure both releases on rows later than those that were labelled."""
        after = self._served(second) - began
        self.timeline.say("champion", f"Release {second} serves, {after:.0f} s after the first drifted text.",
                          release=second, seconds_after=after)  # fmt: skip
        played = self._send(f"day {day}", _take(self.other, self.size.later))
        old = self._answers(first, played.rows)
        new_right, old_right = played.right(), [row.label == said for row, said in zip(played.rows, old, strict=True)]
        difference, low, high = _paired(new_right, old_right)
        told = (
            f"On {len(new_right):,} later rows {sum(new_right) / len(new_right):.1%} of its answers are right; of the "
            f"first champion's {sum(old_right) / len(old_right):.1%}. {100 * difference:+.1f} points "
            f"({100 * low:+.1f} to {100 * high:+.1f})."
        )
        self.timeline.say(f"day {day}", told, difference=difference, low=low, high=high)
        self.timeline.claim("accuracy recovers on rows later than those labelled", low > 0)
        self.unlabelled = played
        self._label()
        found = self.world.observe(len(played.rows))
        self.timeline.say("monitor", f"With labels it says {found.health}: {found.reason}",
                          observation=found.model_dump(mode="json"))  # fmt: skip

    def _served(self, release: str) -> float:
        """Wait until the service answers with a release; the seconds at which it did."""
        end = time.monotonic() + SWAP_SECONDS
        with self.world.client() as client:
            while time.monotonic() < end:
                answer = client.post("/predict", json={"texts": ["Does it serve?"]}).raise_for_status().json()
                if answer["release"] == release:
                    return self.timeline.seconds()
                time.sleep(0.2)
        raise TidegateError(f"The service did not take release {release} up within {SWAP_SECONDS:.0f} s.")

    def _answers(self, release: str, rows: Sequence[Row]) -> list[str]:
        """What a release says of rows, in the variant that served."""
        from tasks.inference import Model

        bundle = self.world.folder / store.STORE / self.line.name / release
        labels: list[str] = Model.load(bundle, _variant(bundle)).predict([row.text for row in rows]).labels
        return labels


def play(name: str, reduced: bool, end: bool) -> int:
    """Play the demonstration; 0 when everything happened that should, else 1.

    It stays up to be looked at, unless `end` says so. Raises TidegateError where it cannot be played.
    """
    demo = Demo(name, REDUCED if reduced else Size())
    try:
        held = demo.run()
    except BaseException:
        demo.world.down()
        raise
    if end:
        demo.world.down()
        return 0 if held else 1
    demo.timeline.console.print(
        f"It goes on running. Look at the ops page: {demo.world.addresses['ops']}\n"
        f"`tidegate demo --end` stops it; all of it lies in {demo.world.folder}.",
        highlight=False,
    )
    return 0 if held else 1


def stop(name: str) -> None:
    """Stop what a demonstration left running."""
    World(Line(name)).down()


def _take(rows: list[Row], count: int) -> list[Row]:
    """Remove so many rows, or what is left."""
    taken = rows[:count]
    del rows[:count]
    return taken


def _paired(new: Sequence[bool], old: Sequence[bool]) -> tuple[float, float, float]:
    """The difference of two shares on the same rows, with its interval."""
    from tasks.paired import tango

    won = sum(a and not b for a, b in zip(new, old, strict=True))
    lost = sum(b and not a for a, b in zip(new, old, strict=True))
    return (won - lost) / len(new), *tango(won, lost, len(new), CONFIDENCE)


def _variant(bundle: Path) -> str:
    """int8 where the release has it: what serves on nearly every CPU."""
    return "int8" if (bundle / "int8.onnx").exists() else "fp32"
