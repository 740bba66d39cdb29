"""Click-through: what a fall is, and what only looks like one because feedback comes late."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from windows import window

from tasks.drift import clicks
from tasks.drift.clicks import Clicks, Shown
from tasks.drift.examine import examine
from tasks.drift.result import Figure, Skipped
from tasks.drift.settings import MonitorSettings

SETTINGS = MonitorSettings(min_rows=50)
HOUR = 3_600
NOW = 400 * HOUR


def shown(rows, share, since, until, seed=0, slow=HOUR):
    """Lists evenly over a time in seconds; from a share of them something is taken, after `slow` seconds on average."""
    rng = np.random.default_rng(seed)
    time = np.sort(rng.uniform(since, until, rows))
    after = rng.exponential(slow, rows)
    taken = (rng.random(rows) < share) & (time + after <= NOW)
    place = np.where(taken, rng.integers(1, 13, rows), 0)
    return Shown((1e6 * time).astype(np.int64), place, np.where(taken, after, np.nan))


def clicked(before=0.2, now=0.2, rows=1000, slow=HOUR, seed=0):
    sides = shown(7 * rows, before, 0, 350 * HOUR, seed, slow), shown(rows, now, 350 * HOUR, NOW, seed + 1, slow)
    return Clicks(*sides, int(1e6 * NOW))


def test_a_fall_is_found_and_told():
    found = clicks.check(clicked(now=0.1), SETTINGS, 0.01)
    assert found.value == pytest.approx(0.09, abs=0.03) and found.p < 1e-6 and found.value > found.limit
    assert found.rows_reference == 7000 and 900 < found.rows_current < 1000
    assert found.reason.startswith("Users took something from ") and "in the windows before" in found.reason
    assert sum(found.evidence["reference"]) == pytest.approx(1, abs=1e-4)
    assert found.evidence["categories"][-1] == "after 10" and found.evidence["current"][-1] > 0


def test_feedback_that_is_still_to_come_is_no_fall():
    late = clicked(slow=20 * HOUR)
    raw = [(side.place > 0).mean() for side in (late.before, late.now)]
    assert raw[1] < 0.8 * raw[0], "counted as it stands it would be one"
    assert clicks.check(late, SETTINGS, 0.01).value < 0.03


@given(st.integers(0, 1000))
def test_chance_seldom_looks_like_a_fall(seed):
    assert clicks.check(clicked(rows=200, seed=2 * seed), SETTINGS, 0.01).p > 1e-5


def test_what_is_not_known_is_said():
    none = clicks.check(clicked(before=0), SETTINGS, 0.01)
    assert isinstance(none, Skipped) and "fewer than 20 lists" in none.reason
    few = clicks.check(clicked(rows=40), SETTINGS, 0.01)
    assert isinstance(few, Skipped) and "50 are needed" in few.reason
    assert clicks.figure(clicked(before=0)) is None


def test_the_figure_is_the_share_of_lists_from_which_something_was_taken_in_time():
    known = clicked(rows=5000)
    figure = clicks.figure(known)
    assert figure.low < 0.9 * 0.2 < figure.high
    assert figure.rows < 5000


def test_feedback_that_ends_altogether_is_a_fall():
    found = examine(window(600), window(300, 1), SETTINGS, clicks=clicked(now=0))
    (check,) = [one for one in found.checks if one.drifted]
    assert (check.name, check.severity, found.severity) == ("click_through", "warning", "warning")


def test_a_fall_is_a_warning_though_it_costs_no_accuracy():
    free = Figure(value=0.0, low=-0.02, high=0.02, rows=300)
    found = examine(window(600), window(300, 1), SETTINGS, clicks=clicked(now=0.1), cost=free)
    assert {one.name: one.severity for one in found.checks if one.drifted} == {"click_through": "warning"}


def test_lines_without_lists_have_no_such_check():
    found = examine(window(600), window(300, 1), SETTINGS)
    assert clicks.NAME not in {one.name for one in (*found.checks, *found.skipped)}
    few = examine(window(600), window(10), SETTINGS, clicks=clicked())
    assert clicks.NAME in {one.name for one in few.skipped}
