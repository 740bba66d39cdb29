"""The benchmark of the monitor: how windows are drawn, and what its tables count."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def module(name):
    """A module of benchmarks/, which stands in no package."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(BENCHMARKS))


draws, looks, tables, monitor = map(module, ("draws", "looks", "monitor_tables", "monitor"))


def rows(name, count):
    """Answered rows as far as drawing looks at them."""
    rng = np.random.default_rng(len(name))
    return pd.DataFrame({
        "text": [f"{name} {n}" for n in range(count)],
        "label": rng.choice(["negative", "positive"], count),
        "characters": rng.integers(5, 200, count),
    })  # fmt: skip


@pytest.fixture(scope="module")
def answered():
    own = rows("film", 3_000)
    shifted = {f"film {name}": own.assign(text=own["text"] + "!") for name in module("answered").HARMLESS}
    return {"film": own, **shifted, **{name: rows(name, 900) for name in module("answered").FOREIGN}}


def every():
    return ["none", *draws.mixtures(), *draws.shifts()]


def test_no_row_stands_in_both_and_none_twice(answered):
    drawn = draws.draw("film", answered["film"], 0)
    for scenario in every():
        windows = draws.windows(scenario, drawn, answered, 200)
        texts = [text for window in windows for text in window["text"]]
        assert windows and {len(window) for window in windows} == {200}, scenario
        assert len(set(texts)) == len(texts), scenario
        assert not {text.rstrip("!") for text in texts} & set(drawn.reference["text"]), scenario


@pytest.mark.parametrize("share", draws.SHARES)
def test_so_many_rows_come_from_elsewhere(answered, share):
    drawn = draws.draw("film", answered["film"], 1)
    for window in draws.windows(f"tweets {share:.0%}", drawn, answered, 200, most=3):
        assert window["text"].str.startswith("tweets").sum() == share * 200


def test_draws_differ_and_repeat(answered):
    first, second = (draws.draw("film", answered["film"], n).reference["text"].tolist() for n in (0, 1))
    assert first == draws.draw("film", answered["film"], 0).reference["text"].tolist()
    assert len(set(first) & set(second)) < len(first) / 2


def test_praise_and_length_are_what_they_say(answered):
    drawn = draws.draw("film", answered["film"], 0)
    for window in draws.windows("mostly praise", drawn, answered, 200):
        assert (window["label"] == "positive").sum() == draws.PRAISE * 200
    longest = pd.concat(draws.windows("longer texts", drawn, answered, 200))
    assert longest["characters"].min() >= drawn.pool["characters"].median()


@settings(deadline=None)  # a busy machine is no failure
@given(st.integers(0, 50), st.integers(1, 50))
def test_shares_stand_inside_their_interval(hits, more):
    told = tables.share(pd.Series([True] * hits + [False] * more))
    share = 100 * hits / (hits + more)
    low, high = (float(end) for end in told[told.index("(") + 1 : -1].split(" to "))
    assert low - 0.06 <= share <= high + 0.06
    assert told.startswith(f"{hits} of {hits + more}")


def test_windows_until_the_alert():
    def looks_of(draw, alerts):
        return [{"draw": draw, "place": place, "alert": alert} for place, alert in enumerate(alerts)]

    group = pd.DataFrame(looks_of(0, [0, 1, 1]) + looks_of(1, [0, 0, 1]) + looks_of(2, [0, 0, 0])).astype(
        {"alert": bool}
    )
    assert tables._until(group, "alert") == "3; 2 of 3 within 3"
    assert tables._until(group[group["draw"] == 2], "alert") == "-; 0 of 1 within 3"


def test_a_killed_run_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(monitor, "KEPT", tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    unit = ("film", 0, "none", 200)
    monitor.Kept(tmp_path, monitor.QUICK).add(unit, [{"severity": "none"}])
    kept = monitor.Kept(tmp_path, monitor.QUICK)
    with kept.path.open("a") as stream:
        stream.write('[["film", 1')
    assert monitor.Kept(tmp_path, monitor.QUICK).found == kept.found == {unit: [{"severity": "none"}]}
    monitor.Kept(tmp_path, monitor.QUICK).add(("film", 1, "none", 200), [])
    assert len(monitor.Kept(tmp_path, monitor.QUICK).found) == 2
    assert not monitor.Kept(tmp_path, monitor.Plan()).found
