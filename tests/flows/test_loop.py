"""The loop's record, and what forbids an attempt."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from toy import toy_params

from flows import leftovers, loop
from flows.loop import Attempt, Loop
from tasks.core.errors import StageError

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
DEAD = leftovers.tag().rpartition(":")[0] + ":1"


@pytest.fixture(autouse=True)
def line(workdir):
    settings()


def settings(**block):
    params = toy_params("reviews.csv", {"kind": "folder", "path": "encoder", "sha256": "0" * 64})
    params["lines"]["toy"]["loop"] = {"retrain": True, **block}
    Path("params.yaml").write_text(yaml.safe_dump(params))


def attempt(hours, outcome="rejected", observation="seen", process=DEAD, why=""):
    """One that ended so many hours ago, an hour after it started."""
    started, ended = (NOW - timedelta(hours=hours + more) for more in (1, 0))
    return Attempt(
        id=f"{started:%d%H}", started=started.isoformat(), observation=observation, outcome=outcome, process=process,
        why=why, ended=None if outcome == "running" else ended.isoformat(),
    )  # fmt: skip


def were(*attempts):
    loop._write("toy", list(attempts))


def test_nothing_forbids_the_first():
    assert loop.state("toy") == Loop()
    assert loop.refusal("toy", NOW) is None


@pytest.mark.parametrize(
    ("attempts", "said"),
    [
        ([attempt(1, "promoted")], r"ended 2026-05-01 11:00 UTC; the next may start 2026-05-02 11:00"),
        ([attempt(1, "failed")], r"the next may start 2026-05-02 11:00"),
        ([attempt(100, "promoted"), attempt(40, "failed")], r"2 times in seven days .* start 2026-05-04 07:00"),
        ([attempt(hours) for hours in (900, 800, 700)], r"last 3 attempts of toy were rejected: a person must look"),
        ([*(attempt(hours) for hours in (900, 800, 700)), attempt(600, observation=None)], r"a person must look"),
        ([attempt(2, "running", process=leftovers.tag())], r"is running since"),
    ],
)
def test_what_forbids_an_attempt(attempts, said):
    were(*attempts)
    assert re.search(said, loop.refusal("toy", NOW) or "")


@pytest.mark.parametrize(
    "attempts",
    [
        [attempt(30, "promoted")],
        [attempt(400, "promoted"), attempt(300, "promoted"), attempt(30, "promoted")],
        [attempt(900), attempt(800), attempt(750), attempt(700, observation=None, why="a look")],
        [attempt(900), attempt(800, "promoted"), attempt(700), attempt(600, "failed"), attempt(500)],
        [attempt(100, "promoted", None), attempt(40, "promoted", None)],
        [attempt(40, "promoted"), *(attempt(hours, "nothing_new") for hours in (5, 4, 3))],
    ],
    ids=["cooled down", "few this week", "a person looked", "not in a row", "people have no budget", "nothing was new"],
)
def test_what_forbids_none(attempts):
    were(*attempts)
    assert loop.refusal("toy", NOW) is None


def test_off_is_the_default():
    settings(retrain=False)
    assert "loop.retrain: false" in loop.refusal("toy", NOW)


def test_an_attempt_is_recorded_from_begin_to_end():
    begun = loop.begin("toy", "20260501T000000-abcdef", "because\nof drift", "c0ffee")
    assert loop.state("toy").running == begun
    assert (begun.why, begun.outcome) == ("because of drift", "running")
    done = loop.finish("toy", begun, "promoted", "it is better", release="0123456789ab")
    assert loop.attempts("toy") == [done]
    assert loop.state("toy").running is None
    assert (done.outcome, done.release, done.base) == ("promoted", "0123456789ab", "c0ffee")
    assert done.ended >= done.started


def test_attempts_without_news_leave_the_last_of_them():
    for _ in range(3):
        last = loop.finish("toy", loop.begin("toy", "seen", "", "c0ffee"), "nothing_new", "no labels")
    assert loop.attempts("toy") == [last]


def test_a_killed_attempt_is_not_running():
    were(attempt(2, "running"))
    assert loop.state("toy").running is None
    assert [one.outcome for one in loop.dead("toy")] == ["running"]


def test_a_broken_record_says_so(workdir):
    (workdir / loop.FOLDER).mkdir(parents=True)
    (workdir / loop.FOLDER / "toy.json").write_text("{")
    with pytest.raises(StageError, match="is broken"):
        loop.state("toy")
