"""One colour and one sentence, whatever is known."""

from datetime import UTC, datetime, timedelta

import ops_state
import pytest

from flows.alerts import Alert
from flows.ops.health import judge

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CHAMPION = ops_state.CHAMPION


def look(colour, hours=0.5, **more):
    return ops_state.observation(NOW - timedelta(hours=hours), colour, **more)


def alert(severity, kind="drift", **more):
    time = NOW.isoformat()
    given = {"id": "a", "line": "x", "kind": kind, "severity": severity, "title": "t", "reason": "r"}
    return Alert.model_validate({**given, "opened": time, "updated": time, **more})


@pytest.mark.parametrize(
    ("champion", "seen", "alerts", "colour", "said"),
    [
        (None, None, [], "grey", "health.no_champion"),
        (CHAMPION, None, [], "grey", "health.no_observation"),
        (CHAMPION, look("green"), [], "green", "health.works_known"),
        (CHAMPION, look("green", accuracy_known=None), [], "green", "health.works_estimated"),
        (CHAMPION, look("green", accuracy_known=None, accuracy_estimated=None), [], "green", "health.works"),
        (CHAMPION, look("amber"), [], "amber", "health.drifts"),
        (CHAMPION, look("red"), [], "red", "health.drifts"),
        (CHAMPION, look("red", checks=[]), [], "red", "health.red"),
        (CHAMPION, look("grey"), [], "grey", "health.grey"),
        (CHAMPION, look("grey", problem="The log is gone."), [], "grey", "health.problem"),
        (CHAMPION, look("green", problem="The disk is full."), [], "amber", "health.problem"),
        (CHAMPION, look("green", hours=4), [], "grey", "health.stale"),
        (CHAMPION, look("red", hours=40), [], "red", "health.drifts"),  # silence makes nothing well
        ("c3b5a1d0e9f2", look("red"), [], "grey", "health.other_release"),
        (CHAMPION, look("green"), [alert("severe", "run_missed")], "red", "health.alert"),
        (CHAMPION, look("green"), [alert("warning", "loop")], "amber", "health.alert"),
        (CHAMPION, look("green"), [alert("notice")], "green", "health.works_known"),
        (CHAMPION, look("green"), [alert("severe", "channel")], "green", "health.works_known"),
        (CHAMPION, look("green"), [alert("severe", resolved=NOW.isoformat())], "green", "health.works_known"),
        (CHAMPION, look("red"), [alert("severe")], "red", "health.drifts"),
    ],
)
def test_the_worst_counts_and_says_why(champion, seen, alerts, colour, said):
    found = judge(champion, seen, alerts, 3, NOW)
    assert (found.colour, found.why.said) == (colour, said)


def test_an_old_bad_look_says_that_it_is_old():
    found = judge(CHAMPION, look("amber", hours=30), [], 3, NOW)
    assert [note.said for note in found.others] == ["health.stale"]
    assert found.others[0].values == {"hours": 30}
