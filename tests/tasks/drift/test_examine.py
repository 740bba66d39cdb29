from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from windows import SHOP, described, window

from tasks.drift.examine import Findings, confirmed, examine
from tasks.drift.result import Figure, Observation
from tasks.drift.settings import MonitorSettings, Name
from tasks.drift.tallies import Tallies
from tasks.drift.window import Window

SETTINGS = MonitorSettings(min_rows=50)
REFERENCE = window(600)
CHINESE = ["电影", "故事", "演员", "剧情", "音乐", "手机", "屏幕", "电池", "价格", "快递"]


def checks(findings: Findings) -> dict:
    return {check.name: check for check in findings.checks}


def test_rows_of_the_same_kind_do_not_drift():
    found = examine(REFERENCE, window(300, 1), SETTINGS)
    assert found.severity == "none"
    assert not any(check.drifted for check in found.checks)
    assert found.reason == "No drift in 8 checks."
    assert {one.name for one in found.skipped} == {"tokens", "unknown"}


def test_every_check_is_made_or_skipped_with_a_reason():
    found = examine(REFERENCE, window(300, 1), SETTINGS)
    names = [one.name for one in (*found.checks, *found.skipped)]
    assert sorted(names) == sorted(set(get_args(Name)) - {"click_through"})


def test_texts_of_another_kind_drift_and_their_terms_are_shown():
    found = examine(REFERENCE, window(300, 1, SHOP), SETTINGS)
    text = checks(found)["text"]
    assert found.severity == "warning"
    assert text.drifted
    assert text.value > 0.9
    assert {"battery", "screen"} <= {one["term"] for one in text.evidence["terms"]["more"]}
    assert {"film", "story"} <= {one["term"] for one in text.evidence["terms"]["less"]}
    assert checks(found)["embedding"].drifted
    assert "battery" not in found.reason + text.reason


def test_a_fifth_of_the_rows_from_elsewhere_is_found():
    found = examine(REFERENCE, Window.joined([window(200, 1), window(50, 2, SHOP)]), SETTINGS)
    assert checks(found)["text"].drifted


def test_chinese_texts_are_told_apart_by_their_characters():
    def chinese(rows, words, seed):
        texts = ["".join(np.random.default_rng([seed, n]).choice(words, 6)) for n in range(rows)]
        return replace(window(rows, seed), text=texts, **described(texts))

    reference = chinese(400, CHINESE[:7], 0)
    assert not checks(examine(reference, chinese(200, CHINESE[:7], 1), SETTINGS))["text"].drifted
    found = checks(examine(reference, chinese(200, CHINESE[3:], 1), SETTINGS))["text"]
    assert found.drifted
    assert {"电池", "快递"} & {one["term"].replace(" ", "") for one in found.evidence["terms"]["more"]}


def test_another_case_and_other_punctuation_are_no_other_texts():
    current = window(300, 1)
    texts = [text.upper().replace(" ", "! ") for text in current.text]
    found = examine(REFERENCE, replace(current, text=texts, **described(texts)), SETTINGS)
    assert not checks(found)["text"].drifted
    assert checks(found)["characters"].drifted
    assert found.severity == "notice"


def test_answers_that_are_right_less_often_drift_though_nothing_else_does():
    found = examine(REFERENCE, window(300, 1, right=0.6), SETTINGS)
    assert [check.name for check in found.checks if check.drifted] == ["performance"]
    assert found.severity == "severe"


def test_all_rows_count_though_texts_are_a_sample():
    sample = window(200, 1)
    tallies = Tallies.of(REFERENCE).add(window(5_000, 2, right=0.7))
    found = checks(examine(REFERENCE, sample, SETTINGS, tallies=tallies))
    assert (found["performance"].rows_current, found["performance"].sampled) == (5_000, False)
    assert (found["text"].rows_current, found["text"].sampled) == (200, True)
    assert found["performance"].drifted


@pytest.mark.parametrize(
    ("value", "low", "severity"),
    [(0.0, -0.05, "notice"), (0.03, -0.02, "warning"), (0.12, 0.01, "warning"), (0.15, 0.08, "severe")],
)
def test_severity_goes_by_what_the_drift_costs(value, low, severity):
    cost = Figure(value=value, low=low, high=value + 0.05, rows=300)
    found = examine(REFERENCE, window(300, 1, SHOP), SETTINGS, cost=cost)
    assert found.severity == severity
    assert checks(found)["estimate"].drifted is (severity != "notice")
    assert "costs" in found.reason


def test_a_cost_without_drift_is_no_alarm():
    cost = Figure(value=0.15, low=0.08, high=0.2, rows=300)
    assert examine(REFERENCE, window(300, 1), SETTINGS, cost=cost).severity == "none"


def test_a_limit_of_ones_own_silences_what_is_smaller():
    current = Window.joined([window(200, 1), window(50, 2, SHOP)])
    generous = SETTINGS.model_copy(update={"limits": {"text": 0.8, "embedding": 0.8}})
    text = checks(examine(REFERENCE, current, generous))["text"]
    assert not text.drifted
    assert text.reason.endswith("More than chance, but below the limit of 0.8.")


@pytest.mark.parametrize(("rows", "reason"), [(0, "The window has no rows."), (10, "The window has 10 rows; 50 are")])
def test_few_rows_are_not_judged(rows, reason):
    found = examine(REFERENCE, window(rows), SETTINGS)
    assert found.severity == "none"
    assert found.reason.startswith(reason)
    assert len(found.skipped) == len(get_args(Name)) - 1  # click-through is of lists alone


def test_without_texts_and_embeddings_the_rest_is_looked_at():
    def bare(rows, seed):
        empty = np.empty((rows, 0), np.float32)
        return replace(window(rows, seed), text=[None] * rows, projection=empty)

    found = examine(bare(400, 0), replace(bare(200, 1), label=["negative"] * 200), SETTINGS)
    assert {one.name for one in found.skipped} == {"text", "embedding", "tokens", "unknown"}
    assert checks(found)["prediction"].drifted


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([0, 10, 55, 150]),
    st.sampled_from([0, 10, 55, 150]),
    st.sampled_from(["as they are", "no texts", "some texts", "one text", "empty texts", "one label", "new label",
                     "NaN", "no projection", "no labels", "no letters"]),
    st.booleans(),
)  # fmt: skip
def test_nothing_that_a_log_may_hold_breaks_it(reference, current, what, both):
    sides = [spoilt(window(reference), what if both else ""), spoilt(window(current, 1, SHOP), what)]
    found = examine(*sides, SETTINGS)
    assert len(found.checks) + len(found.skipped) == len(get_args(Name)) - 1  # click-through is of lists alone
    assert all(0 <= check.p <= 1 and np.isfinite(check.value) for check in found.checks)
    observation = OBSERVATION.model_copy(update={"checks": found.checks, "skipped": found.skipped})
    assert Observation.model_validate_json(observation.model_dump_json()).checks == found.checks


def spoilt(rows: Window, what: str) -> Window:
    n = len(rows)
    nan = np.full(n, np.nan, np.float32)
    changes = {
        "no texts": {"text": [None] * n},
        "some texts": {"text": [text if place % 9 == 0 else None for place, text in enumerate(rows.text)]},
        "one text": {"text": ["film"] * n},
        "empty texts": {"text": [""] * n},
        "one label": {"label": ["negative"] * n},
        "new label": {"label": ["(other)"] * n},
        "NaN": {"probabilities": rows.probabilities * np.nan, "projection": rows.projection * np.nan,
                "non_letters": nan, "script_share": nan},
        "no projection": {"projection": rows.projection[:, :0]},
        "no labels": {"true_label": [None] * n},
        "no letters": {"text": ["!!!"] * n, "script": [""] * n},
    }  # fmt: skip
    return replace(rows, **changes.get(what, {}))


OBSERVATION = Observation(
    id="20261124T150405-1f2e3d", line="sentiment", time="2026-11-24T15:04:05+00:00", release="0123456789ab",
    version=None, since="2026-11-23T00:00:00+00:00", until="2026-11-24T00:00:00+00:00", rows=300,
    labelled=0, rows_reference=600,
    requests_per_hour=None, latency_ms_p50=None, latency_ms_p95=None, severity="warning", health="amber", reason="",
    confirmed=False,
)  # fmt: skip


def test_two_disjoint_windows_of_one_release_confirm_each_other():
    found = examine(REFERENCE, window(300, 1, SHOP), SETTINGS)
    before = OBSERVATION.model_copy(update={"checks": found.checks})
    given = {"since": "2026-11-24T00:00:00Z", "release": "0123456789ab"}
    assert confirmed(found, [before], **given)
    assert not confirmed(found, [], **given)
    assert not confirmed(found, [before], since="2026-11-23T23:00:00+00:00", release="0123456789ab")
    assert not confirmed(found, [before], since="2026-11-24T00:00:00+00:00", release="ba9876543210")


def test_a_window_without_drift_between_them_breaks_the_row_and_one_not_judged_does_not():
    found = examine(REFERENCE, window(300, 1, SHOP), SETTINGS)
    calm = examine(REFERENCE, window(300, 1), SETTINGS)
    before = OBSERVATION.model_copy(update={"checks": found.checks})
    assert not confirmed(found, [before, before.model_copy(update={"checks": calm.checks})])
    assert confirmed(found, [before, before.model_copy(update={"checks": []})])
    assert not confirmed(calm, [before])


def test_drift_of_another_kind_does_not_confirm():
    content = examine(REFERENCE, window(300, 1, SHOP), SETTINGS)
    only = [check for check in content.checks if check.name == "text"]
    other = [check for check in content.checks if check.name == "length"]
    before = OBSERVATION.model_copy(update={"checks": other})
    assert not confirmed(replace(content, checks=only), [before])


def test_a_severe_window_waits_for_no_second():
    assert confirmed(Findings("severe", ""), [])
    assert not confirmed(Findings("warning", ""), [])
