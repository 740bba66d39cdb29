"""The demonstration's own judgement, over a world that does as it is told. The real one is played in CI."""

import json
from types import SimpleNamespace

import httpx
import pytest

from flows.demo import play
from flows.demo.replay import HOME, Row
from flows.loop import Attempt
from tasks.core.errors import TidegateError
from tasks.drift.result import Observation

SIZE = play.Size(usual=32, drifted=160, mixed_in=2, days=2, later=160, minutes=0.05)


class Stage:
    """Stands for the world: the first model is right about films alone, the second about everything."""

    def __init__(self, *_):
        self.folder = self.where / "project"
        self.addresses, self.release, self.feedback, self.stopped, self.tried = {"ops": "here"}, "first", [], 0, []

    def make(self, settings):
        return "first"

    def tidegate(self, *arguments):
        assert arguments[:3] == ("promote", "sentiment", "first")

    def up(self):
        return

    def down(self):
        self.stopped += 1

    def client(self):
        def answer(request):
            content = json.loads(request.content)
            if request.url.path.endswith("/feedback"):
                self.feedback.append(content)
                return httpx.Response(202)
            said = [{"label": says(self.release, text)} for text in content["texts"]]
            return httpx.Response(200, json={"request_id": "r", "release": self.release, "predictions": said})

        return httpx.Client(transport=httpx.MockTransport(answer), base_url="http://service")

    def observe(self, rows):
        drifted = rows in self.alarming
        return Observation.model_validate({
            "id": "1", "line": "sentiment", "time": "2026-01-01T00:00:00+00:00", "release": self.release,
            "version": None, "since": None, "until": None, "rows": rows, "labelled": 0, "rows_reference": 1,
            "requests_per_hour": None, "latency_ms_p50": None, "latency_ms_p95": None, "severity": "none",
            "health": "green", "reason": "said", "confirmed": drifted,
        })  # fmt: skip

    def attempts(self):
        if len(self.tried) < len(self.outcomes):
            number = len(self.tried)
            outcome, release = self.outcomes[number]
            self.tried.append(Attempt(id=f"{number}", started="", outcome=outcome, release=release))
            self.release = release if outcome == "promoted" else self.release
        return self.tried


def says(release, text):
    origin, label, _ = text.split()
    return label if origin == HOME or release == "second" else "negative"


def rows(origin, count):
    return [Row(f"{origin} {label} {n}", label, origin) for n in range(count) for label in ("negative", "positive")]


@pytest.fixture
def stage(monkeypatch, tmp_path):
    """Sets what happens; returns the function that plays and its world."""

    def played(alarming=(SIZE.drifted,), outcomes=(("nothing_new", None), ("promoted", "second"))):
        world = type("World", (Stage,), {"where": tmp_path, "alarming": alarming, "outcomes": outcomes})
        monkeypatch.setattr(play, "World", world)
        monkeypatch.setattr(play, "load", lambda _: {"sentiment": SimpleNamespace(kind="classify")})
        monkeypatch.setattr(play.replay, "held_out", lambda _: rows(HOME, 100))
        monkeypatch.setattr(play.replay, "elsewhere", lambda _: rows("tweets", 500))
        monkeypatch.setattr(play, "START_SECONDS", 0.05)
        monkeypatch.setattr(play, "REDUCED", SIZE)
        monkeypatch.setattr(
            play.Demo, "_answers", lambda _self, release, asked: [says(release, row.text) for row in asked]
        )
        made = []
        keep = play.Demo.__init__
        monkeypatch.setattr(play.Demo, "__init__", lambda self, *given: (keep(self, *given), made.append(self))[0])
        code = play.play("sentiment", reduced=True, end=True)
        return code, made[0]

    return played


def test_all_that_should_happen_is_claimed_and_held(stage, tmp_path):
    code, demo = stage()
    assert code == 0 and len(demo.timeline.claims) == 5 and all(demo.timeline.claims.values())
    told = json.loads((tmp_path / "timeline.json").read_text())
    assert [event["what"] for event in told["events"]] == [
        "project", "champion", "up", "day 1", "day 2", "day 3", "alarm", "loop", "day 4", "loop", "champion", "day 5",
        "monitor",
    ]  # fmt: skip
    recovered = next(event for event in told["events"] if event["what"] == "day 5")
    assert recovered["low"] > 0.3 and recovered["difference"] == pytest.approx(0.5, abs=0.1)
    labelled = len(demo.world.feedback) / (2 * 32 + 2 * 160)  # two usual days, the first of drift, the last of all
    assert 0.7 < labelled < 0.9
    assert demo.world.stopped == 1


@pytest.mark.parametrize(
    ("alarming", "outcomes", "broken"),
    [
        ((SIZE.usual, SIZE.drifted), (("promoted", "second"),), "no alarm on day 1, when nothing had changed"),
        ((), (), "an alarm when other texts came"),
        ((SIZE.drifted,), (("rejected", "second"),), "a retraining passed the same gates and was promoted"),
        ((SIZE.drifted,), (), "a retraining passed the same gates and was promoted"),
        ((SIZE.drifted,), (("promoted", "first"),), "accuracy recovers on rows later than those labelled"),
    ],
)
def test_what_did_not_happen_ends_it_with_1(alarming, outcomes, broken, stage):
    code, demo = stage(alarming, outcomes)
    assert code == 1 and demo.timeline.claims[broken] is False


def test_a_retraining_without_end_is_said_and_everything_stopped(stage):
    with pytest.raises(TidegateError, match="did not end within"):
        stage(outcomes=(("running", None),))


def test_no_row_is_played_twice():
    given = rows(HOME, 5)
    assert len(play._take(given, 4)) == 4 and len(given) == 6 and len(play._take(given, 100)) == 6 and not given
