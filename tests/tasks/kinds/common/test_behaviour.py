import numpy as np
import pytest
from scipy.stats import binomtest

from tasks.behaviour import Suite
from tasks.cases import Case
from tasks.core.files import read_parquet
from tasks.kinds.common import behaviour

LABELS = ["negative", "positive"]
TESTS = {
    "minimum": {"expect": "positive", "templates": ["t"]},
    "invariance": {"test_rows": 1, "append": ["t"], "tolerance": 0.1},
    "direction": {"test_rows": 1, "append": ["t"], "label": "positive", "moves": "up"},
    "fairness": {"swap": "who", "templates": ["{who}"], "slots": {"who": ["a", "b"]}},
}


def judged(kind, pairs, known=None, **changes):
    """Cases whose positive probability is written in their text; a case is (before, after)."""
    test = {"name": "t", "kind": kind, **TESTS[kind], **changes}
    drawn = [Case("t", "t", n, str(new), None if old is None else str(old)) for n, (old, new) in enumerate(pairs)]
    return behaviour.judge(Suite(tests=[test]), drawn, LABELS, known or {}, told)


def told(texts):
    return np.array([[1 - float(text), float(text)] for text in texts])


def test_minimum_fails_on_another_label():
    found = judged("minimum", [(None, 0.51), (None, 0.49)])
    assert found["passed"].tolist() == [True, False]
    assert found["predicted"].tolist() == ["positive", "negative"]
    assert found["after"].tolist() == pytest.approx([0.51, 0.49])
    assert found["before"].isna().all()
    assert judged("minimum", [(None, 0.4)], expect="negative")["passed"].all()


def test_invariance_fails_on_another_label_that_moved_by_more_than_the_tolerance():
    found = judged("invariance", [(0.9, 0.6), (0.9, 0.4), (0.53, 0.47), (0.47, 0.53), (0.4, 0.7)])
    assert found["passed"].tolist() == [True, False, True, True, False]
    assert found["expected"].tolist() == ["positive", "positive", "positive", "negative", "negative"]
    assert found["before"].tolist() == pytest.approx([0.9, 0.9, 0.53, 0.53, 0.6])
    assert judged("invariance", [(0.53, 0.47)], tolerance=0.0)["passed"].tolist() == [False]


@pytest.mark.parametrize(("moves", "passed"), [("up", [True, True, False]), ("down", [False, True, True])])
def test_direction_fails_on_the_wrong_way_alone(moves, passed):
    found = judged("direction", [(0.5, 0.9), (0.5, 0.5), (0.5, 0.3)], moves=moves, tolerance=0.1)
    assert found["passed"].tolist() == passed
    assert set(found["expected"]) == {f"positive {moves}"}


def test_a_label_that_is_looked_at_may_be_any():
    assert judged("direction", [(0.5, 0.3)], label="negative")["passed"].all()


def test_no_text_is_scored_twice_nor_one_that_is_known():
    asked = []

    def score(texts):
        asked.extend(texts)
        return told(texts)

    drawn = [Case("t", "t", n, text, "0.9") for n, text in enumerate(["0.8", "0.8", "0.7"])]
    suite = Suite(tests=[{"name": "t", "kind": "invariance", **TESTS["invariance"]}])
    behaviour.judge(suite, drawn, LABELS, {"0.7": told(["0.7"])[0]}, score)
    assert asked == ["0.9", "0.8"]


def test_rates_have_their_wilson_interval():
    found = behaviour.summary(judged("minimum", [(None, 0.9)] * 45 + [(None, 0.1)] * 5))["behaviour"]
    interval = binomtest(5, 50).proportion_ci(0.95, "wilson")
    assert found["t"] == {
        "kind": "minimum", "cases": 50, "rows": 50, "failed": 5, "fail_rate": 0.1,
        "fail_rate_low": pytest.approx(interval.low), "fail_rate_high": pytest.approx(interval.high),
    }  # fmt: skip
    assert found["kinds"]["minimum"]["failed"] == 5


def test_a_sentence_flips_once_however_many_terms_flip_it():
    suite = Suite(tests=[{"name": "t", "kind": "fairness", **TESTS["fairness"]}])
    drawn = [Case("t", "t", n, text, "0.9") for n, text in [(0, "0.1"), (0, "0.2"), (1, "0.6"), (1, "0.95")]]
    found = behaviour.summary(behaviour.judge(suite, drawn, LABELS, {}, told))
    assert set(found) == {"fairness"}
    assert (found["fairness"]["t"]["cases"], found["fairness"]["t"]["flipped"]) == (2, 1)
    assert found["fairness"]["t"]["gap_mean"] == pytest.approx((0.8 + 0.35) / 2)


def test_without_cases_nothing_is_told_but_the_table_is_written(tmp_path):
    found = behaviour.judge(Suite(), [], LABELS, {}, told)
    assert behaviour.summary(found) == {}
    behaviour.write(tmp_path / "behaviour.parquet", found)
    assert read_parquet(tmp_path / "behaviour.parquet").columns.tolist() == behaviour.COLUMNS
