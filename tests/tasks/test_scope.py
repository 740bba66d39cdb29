import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks import scope
from tasks.calibration import softmax
from tasks.core.errors import DataError
from tasks.kinds.common.scope import figures
from tasks.scope import ScopeSettings

rates = st.floats(0.02, 0.98)


def wanted(**more):
    return ScopeSettings(**more).model_dump()


def test_energy_sees_what_is_far_from_every_label_and_a_probability_does_not():
    near_one, near_two, far = [9.0, 0.0, 0.0], [9.0, 8.9, 0.0], [-1.0, -9.0, -9.0]
    logits = np.array([near_one, near_two, far])
    energy = scope.scores("energy", logits, softmax(logits))
    assert energy == pytest.approx(np.log(np.exp(logits).sum(axis=1)))
    assert energy.argmin() == 2
    assert scope.scores("max_probability", logits, softmax(logits)).argmin() == 1


def test_energy_of_large_logits_is_finite():
    assert scope.scores("energy", np.array([[2000.0, 0], [-2000.0, -2000.0]]), None) == pytest.approx([2000, -1999.307])


def test_an_unknown_score_is_named():
    with pytest.raises(ValueError, match="'distance' is unknown; known are energy and max_probability"):
        scope.scores("distance", np.zeros((1, 2)), np.zeros((1, 2)))


@settings(max_examples=50, deadline=None)
@given(rates, st.integers(60, 400), st.integers(0, 5), st.booleans())
def test_the_rate_is_held_on_the_rows_that_it_is_fitted_to(rate, rows, seed, ties):
    strange = np.random.default_rng(seed).normal(size=rows).round(1 if ties else 9)
    bound = scope.fit(strange[:0], strange, wanted(false_accept=rate))
    accepted = (strange >= bound["threshold"]).mean()
    assert accepted <= rate
    assert ties or accepted > rate - 2 / rows, "and no text is refused without need"
    bound = scope.fit(strange, strange[:0], wanted(false_reject=rate))
    assert (strange < bound["threshold"]).mean() <= rate
    assert bound["fitted_to"] == "false_reject"


def test_a_text_at_the_threshold_is_in_scope():
    logits = np.array([[1.0, 0.0], [0.9999, 0.0]])
    fitted = {"score": "energy", "threshold": scope.scores("energy", logits, None)[0]}
    assert scope.known(fitted, logits, softmax(logits)).tolist() == [True, False]


def test_the_rate_is_held_on_new_rows_on_average():
    rng = np.random.default_rng(0)
    seen = []
    for _ in range(1000):
        strange = rng.normal(size=30)
        bound = scope.fit(strange[:0], strange, wanted(false_accept=0.1))
        seen.append((rng.normal(size=50) >= bound["threshold"]).mean())
    assert np.mean(seen) == pytest.approx(3 / 31, abs=0.008)


def test_nineteen_rows_can_hold_one_in_twenty_and_eighteen_cannot():
    strange = np.arange(19.0)
    assert scope.fit(strange[:0], strange, wanted())["threshold"] > 18
    message = r"18 rows cannot hold evaluate.scope.false_accept at 0.05: 19 are needed"
    with pytest.raises(DataError, match=message):
        scope.fit(strange, strange[:18], wanted())
    with pytest.raises(DataError, match=r"18 rows cannot hold evaluate.scope.false_reject"):
        scope.fit(strange[:18], strange[:0], wanted())


def test_figures_of_a_threshold():
    known, right = np.array([1.0, 2, 3, 4]), np.array([True, True, False, True])
    told = figures(known, right, np.array([0.0, 0.5, 2.5]), 1.5)
    shown = {name: told[name] for name in ("accuracy", "false_reject", "recall", "precision")}
    assert shown == {"accuracy": 0.5, "false_reject": 0.25, "recall": 2 / 3, "precision": 2 / 3}
    assert told["roc_auc"] == pytest.approx(10 / 12)
    assert told["recall_low"] < told["recall"] < told["recall_high"]


def test_without_rows_out_of_scope_nothing_is_said_of_them():
    told = figures(np.arange(4.0), np.ones(4, dtype=bool), np.empty(0), 1.0)
    assert told["false_reject"] == 0.25
    assert not {"recall", "precision", "roc_auc"} & set(told)
    none_refused = figures(np.arange(1.0, 5), np.ones(4, dtype=bool), np.ones(3) * 9, 0.0)
    assert none_refused["recall"] == 0 and "precision" not in none_refused
