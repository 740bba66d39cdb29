"""What users take of their lists, from the log to the alert."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import made
import pytest
from answers import put
from traffic import check

from flows import alerts, observations
from flows.observe import FEWER_CLICKS, TAKEN_LATER, monitor_line
from flows.telling import markdown
from serving.log.record import Answered, Feedback
from tasks.drift.examine import Findings

ITEMS = ["positive", "negative", "neither"]
TEXTS = made.texts(240, seed=5)


@pytest.fixture
def lists(watched):
    """Give lists for the texts in the hours before now, and let users take the second item of every so many of them."""

    now = datetime.now(UTC)

    def give(hours, every, name):
        answers = watched.model.predict(TEXTS, cleaned=True)
        given, taken = [], []
        for n, text in enumerate(TEXTS):
            time = now - timedelta(hours=hours) + timedelta(seconds=14 * n)
            listed = [answers.labels[n], *(item for item in ITEMS if item != answers.labels[n])]
            given.append(
                Answered(
                    request_id=f"{name}-{n}", time=time, line="sentiment", release=watched.release, variant="fp32",
                    role="champion", source="test", texts=[text], labels=[listed[0]], latency_ms=5.0,
                    probabilities=answers.probabilities[n : n + 1], embeddings=answers.embeddings[n : n + 1],
                    listed=[listed],
                )
            )  # fmt: skip
            if n % every == 0:
                told = Feedback(f"{name}-{n}", 0, "sentiment", listed[1], time + timedelta(seconds=60), "test")
                taken += [replace(told, label="elsewhere"), replace(told, time=told.time + timedelta(seconds=1)),
                          replace(told, label=listed[2], time=told.time + timedelta(seconds=9))]  # fmt: skip
        put(watched.engine, watched.encoder, *given, *taken)

    return give


def test_a_fall_is_a_check_of_the_observation_and_stands_in_its_report(lists):
    lists(hours=3, every=3, name="before")
    lists(hours=1, every=30, name="now")
    seen = monitor_line("sentiment", window="65m")
    (fall,) = [one for one in seen.checks if one.name == "click_through"]
    assert fall.drifted and fall.severity == "warning" and (fall.rows_reference, fall.rows_current) == (240, 240)
    assert fall.evidence["reference"][:3] == [0, 1, 0], "the first item that was taken stood second"
    assert seen.click_through.value == pytest.approx(1 / 30)
    assert fall.reason == "Users took something from 3.3% of 240 lists, from 33.3% in the windows before."
    assert "click-through" in markdown(seen)
    assert "click_through" in observations.path("sentiment", seen.id).with_suffix(".html").read_text()


def test_as_many_as_before_is_no_fall(lists):
    lists(hours=3, every=3, name="before")
    lists(hours=1, every=3, name="now")
    seen = monitor_line("sentiment", rows=240)
    (same,) = [one for one in seen.checks if one.name == "click_through"]
    assert not same.drifted and seen.click_through.value == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("checks", "title"), [(["click_through"], FEWER_CLICKS), (["click_through", "performance"], TAKEN_LATER)]
)
def test_the_alert_says_that_it_is_about_lists(lists, found, checks, title):
    lists(hours=1, every=3, name="now")
    found(Findings("severe", "Fewer.", [check(name=name) for name in checks]))
    monitor_line("sentiment")
    assert [alert.title for alert in alerts.open_alerts("sentiment")] == [title]
