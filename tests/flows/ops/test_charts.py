"""What the charts are drawn of."""

import json
from datetime import UTC, datetime, timedelta

import ops_state
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows import observations
from flows.ops import charts
from flows.ops.timeline import Timeline, thinned
from flows.registry import Assigned
from flows.web.words import Words

START = datetime(2026, 3, 1, tzinfo=UTC)


def looks(count, colour="green", **more):
    return [ops_state.observation(START + timedelta(hours=n), colour, **more) for n in range(count)]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_charts_are_json_and_speak_the_language(language):
    words = Words(language, "flows.ops")
    found = [*looks(30), *looks(3, "red"), *looks(2, "grey")]
    made = json.loads(json.dumps(charts.all_of(found, [], words), allow_nan=False))
    assert set(made) == {"accuracy", "drift", "traffic", "latency"}
    assert words("chart.known") in [trace.get("name") for trace in made["accuracy"]["data"]]
    assert words("severity.severe") in [trace.get("name") for trace in made["drift"]["data"]]


def test_a_mark_tells_its_severity_by_form_and_colour():
    made = charts.drift(looks(2, "red"), Words("en", "flows.ops"))["data"]
    marks = {trace["name"]: (trace["marker"]["symbol"], trace["marker"]["color"]) for trace in made}
    assert marks["severe"] != marks["well"]
    assert len({symbol for symbol, _ in charts.SYMBOLS.items()}) == len(set(charts.INK.values())) == 4


def test_few_intervals_are_bars_and_many_a_band():
    few, many = (charts.accuracy(looks(count), [], Words("en", "flows.ops"))["data"] for count in (5, 60))
    assert any("error_y" in trace for trace in few)
    assert not any("error_y" in trace for trace in many)
    assert len(many) == len(few) + 2


def test_a_new_champion_is_marked_where_it_became_one():
    inside = Assigned("v0.3.0", "c" * 40, START + timedelta(hours=2, minutes=30), 1, None)
    before = Assigned("v0.2.0", "c" * 40, START - timedelta(days=3), 0, None)
    layout = charts.accuracy(looks(5), [before, inside], Words("en", "flows.ops"))["layout"]
    assert [note["text"] for note in layout["annotations"]] == ["v0.3.0"]
    assert len(layout["shapes"]) == 1


def test_a_small_change_looks_small():
    low, high = charts.accuracy(looks(5), [], Words("en", "flows.ops"))["layout"]["yaxis"]["range"]
    assert high - low >= charts.LOWEST_SPAN


def test_looks_without_figures_make_no_lines():
    bare = looks(3, accuracy_known=None, accuracy_estimated=None, accuracy_reference=None, latency_ms_p50=None,
                 latency_ms_p95=None, requests_per_hour=None, checks=[])  # fmt: skip
    assert [chart["data"] for chart in charts.all_of(bare, [], Words("en", "flows.ops")).values()] == [[], [], [], []]


@given(st.lists(st.integers(0, 10**7), max_size=400), st.integers(1, 50), st.data())
def test_of_too_many_looks_the_worst_remain(seconds, most, data):
    base = ops_state.observation(START)
    found = []
    for n, second in enumerate(sorted(seconds)):
        severity = data.draw(st.sampled_from(["none", "none", "none", "warning", "severe"])) if n < 50 else "none"
        time = (START + timedelta(seconds=second)).isoformat()
        found.append(base.model_copy(update={"id": f"{n:04}", "time": time, "severity": severity}))
    kept = thinned(found, most)
    assert len(kept) <= most
    assert [one.id for one in kept] == sorted(one.id for one in kept)
    assert any(one.severity == "severe" for one in kept) == any(one.severity == "severe" for one in found)
    if len(found) <= most:
        assert kept == found


def test_a_record_is_read_once_and_again_when_it_changed(workdir, monkeypatch):
    made = looks(3)
    for one in made:
        observations.keep(one)
    timeline = Timeline("sentiment")
    assert [one.id for one in timeline.since(START)] == [one.id for one in made]
    assert all(check.evidence == {} for one in timeline.since(START) for check in one.checks)
    assert [one.id for one in timeline.since(START + timedelta(hours=1))] == [one.id for one in made[1:]]
    read = []
    monkeypatch.setattr(observations, "read", lambda line, name: read.append(name))
    assert timeline.latest().id == made[-1].id and timeline.last(2) and read == []
    observations.path("sentiment", made[-1].id).write_text("{")
    assert timeline.latest().id == made[-2].id
    assert read == [made[-1].id]
