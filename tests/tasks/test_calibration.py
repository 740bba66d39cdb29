import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import norm

from tasks import calibration

finite = st.floats(-60, 60, width=32)
logit_tables = st.integers(2, 6).flatmap(
    lambda k: hnp.arrays(np.float32, st.tuples(st.integers(1, 20), st.just(k)), elements=finite)
)


def drawn(rows, classes, seed, scale=3.0):
    """Logits and labels of a perfectly calibrated model."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(rows, classes)) * scale
    labels = (calibration.softmax(logits).cumsum(axis=1) > rng.random((rows, 1))).argmax(axis=1)
    return logits, labels


def judged(probabilities, labels, **kwargs):
    return calibration.judge(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels, **kwargs)


def test_softmax_of_known_logits():
    assert calibration.softmax([[0, np.log(3)]]) == pytest.approx(np.array([[0.25, 0.75]]))
    assert np.isfinite(calibration.softmax([[1e6, -1e6]])).all()


@given(logit_tables, st.floats(0.02, 50))
def test_temperature_gives_probabilities_and_keeps_the_label(logits, temperature):
    probabilities = calibration.apply({"method": "temperature", "temperature": temperature}, logits)
    assert np.isfinite(probabilities).all()
    assert probabilities.sum(axis=1) == pytest.approx(1)
    chosen = np.take_along_axis(probabilities, logits.argmax(axis=1)[:, None], axis=1)[:, 0]
    assert (chosen == probabilities.max(axis=1)).all()


@settings(max_examples=40, deadline=None)
@given(logit_tables, st.sampled_from(["temperature", "vector", "isotonic"]), st.integers(0, 5))
def test_every_method_fits_anything_and_gives_probabilities(logits, method, shift):
    labels = (np.arange(len(logits)) + shift) % logits.shape[1]
    fitted, _ = calibration.fit(logits, labels, method)
    for of in (logits, np.full_like(logits, 60), np.eye(logits.shape[1]) * 120 - 60):
        probabilities = calibration.apply(fitted, of)
        assert np.isfinite(probabilities).all()
        assert probabilities.sum(axis=1) == pytest.approx(1)
        assert (probabilities >= 0).all()


def test_isotonic_knots_rise_and_stay_above_zero():
    logits, labels = drawn(3000, 3, seed=5, scale=6)
    for knots in calibration.fit_isotonic(logits, labels)["knots"]:
        assert (np.diff(knots["x"]) > 5e-4).all()
        assert (np.diff(knots["y"]) > 0).all()
        assert min(knots["y"]) > 0
        assert len(knots["x"]) <= 32


def test_isotonic_is_a_curve_per_class_then_normalised():
    knots = [{"x": [0.25, 0.75], "y": [0.1, 0.5]}, {"x": [0.5], "y": [0.4]}]
    fitted = {"method": "isotonic", "knots": knots}
    assert calibration.apply(fitted, [[0.0, 0.0]]) == pytest.approx(np.array([[0.3 / 0.7, 0.4 / 0.7]]))
    assert calibration.apply(fitted, [[30.0, -30.0]]) == pytest.approx(np.array([[0.5 / 0.9, 0.4 / 0.9]]))


def test_an_unknown_method_is_named():
    with pytest.raises(ValueError, match="'platt' is unknown"):
        calibration.apply({"method": "platt"}, [[0.0, 1.0]])


def test_a_temperature_is_the_same_to_the_last_digit_however_few_rows_are_looked_at_together(monkeypatch):
    logits, labels = drawn(300, 7, seed=3)
    whole = calibration.fit_temperature(logits, labels)
    monkeypatch.setattr(calibration, "BLOCK", 7 * 11)
    assert calibration.fit_temperature(logits, labels) == whole


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_the_true_temperature_is_found(temperature):
    logits, labels = drawn(20_000, 3, seed=1)
    fitted, losses = calibration.fit(logits * temperature, labels)
    assert fitted["method"] == "temperature"
    assert fitted["temperature"] == pytest.approx(temperature, rel=0.05)
    assert set(losses) == {"temperature", "vector", "isotonic"}


def test_the_fitted_vector_is_a_minimum():
    logits, labels = drawn(5000, 3, seed=2)
    fitted, _ = calibration.fit(logits * [1, 2, 0.5] + [0, 1, -1], labels)
    assert fitted["method"] == "vector"
    assert np.array(fitted["weights"]) == pytest.approx(np.array([1, 0.5, 2]), rel=0.1)


def test_isotonic_is_taken_where_the_curve_has_no_simple_form():
    logits, labels = drawn(20_000, 2, seed=3)
    fitted, losses = calibration.fit(np.sign(logits) * logits**2, labels)
    assert fitted["method"] == "isotonic"
    assert losses["isotonic"] < losses["temperature"]


@pytest.mark.parametrize("rows", [1, 50, 500])
def test_rows_of_one_class_alone_leave_it_at_a_finite_temperature(rows):
    fitted, losses = calibration.fit(np.tile([4.0, -4.0], (rows, 1)), np.zeros(rows, dtype=int))
    assert losses == {}
    assert 0.05 < fitted["temperature"] < 2


def test_many_rows_are_sampled(monkeypatch):
    monkeypatch.setattr(calibration, "MOST", 200)
    logits, labels = drawn(1000, 2, seed=1)
    assert calibration.fit(logits, labels) == calibration.fit(logits, labels)
    assert calibration.fit(logits, labels) != calibration.fit(logits[:200], labels[:200])


def test_bins_are_of_equal_mass_and_equal_values_share_one():
    rng = np.random.default_rng(0)
    rows, mean, hit = calibration.bin_means(rng.random(1500), rng.random(1500) < 0.5)
    assert (rows == 100).all()
    assert (np.diff(mean) > 0).all()
    sure = np.r_[np.ones(100), np.zeros(100)]
    rows, mean, hit = calibration.bin_means(np.ones(200), sure)
    assert (rows.tolist(), mean.tolist(), hit.tolist()) == ([200], [1], [0.5])
    assert len(calibration.bin_means(rng.random(45), np.ones(45))[0]) == 4


def test_the_order_of_rows_decides_nothing():
    logits, labels = drawn(900, 2, seed=4)
    probabilities = calibration.softmax(logits).round(2)
    once, turned = judged(probabilities, labels), judged(probabilities[::-1], labels[::-1])
    assert once.ece_debiased == pytest.approx(turned.ece_debiased)
    assert once.band_high == pytest.approx(turned.band_high)


def test_ece_of_known_bins():
    rows, confidence, accuracy = np.array([100.0, 300.0]), np.array([0.6, 0.9]), np.array([0.5, 0.9])
    assert calibration.ece(rows, confidence, accuracy) == pytest.approx(0.025)


def test_the_debiased_ece_is_that_of_resampling():
    """Kumar et al. draw each bin's accuracy anew and take the excess off; here the mean of the draws is exact."""
    rows, confidence, accuracy = np.array([100.0, 140, 90]), np.array([0.6, 0.8, 0.95]), np.array([0.5, 0.83, 0.9])
    error = np.sqrt(accuracy * (1 - accuracy) / rows)
    again = norm.rvs(accuracy, error, size=(400_000, 3), random_state=np.random.default_rng(0))
    plain = calibration.ece(rows, confidence, accuracy)
    expected = plain - (calibration.ece(rows, confidence, again).mean() - plain)
    assert calibration.ece_debiased(rows, confidence, accuracy) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("rows", "classes"), [(300, 2), (2000, 2), (2000, 8)])
def test_a_perfect_model_stays_inside_its_band_and_an_overconfident_one_does_not(rows, classes):
    tables = [drawn(rows, classes, seed) for seed in range(200)]
    inside = [judged(calibration.softmax(z), y, draws=500).inside_band for z, y in tables]
    assert 0.90 <= np.mean(inside) <= 0.99  # 0.95, with 200 draws known to 0.015
    over = [judged(calibration.softmax(z * 2), y, draws=500).inside_band for z, y in tables[:50]]
    assert np.mean(over) < 0.5 if rows < 1000 else not any(over)


@pytest.mark.parametrize(("right", "inside"), [(1.0, True), (0.9, False)])
def test_total_confidence_is_inside_only_when_always_right(right, inside):
    correct = np.arange(1000) < 1000 * right
    result = calibration.judge(np.ones(1000), correct)
    assert (result.band_high, result.inside_band) == (0, inside)


def test_a_single_row_can_be_judged():
    result = calibration.judge([0.7], [True])
    assert np.isfinite([result.ece, result.ece_debiased, result.band_high]).all()


def test_judging_leaves_the_global_generator_alone():
    before = np.random.get_state()[1].copy()
    calibration.judge(np.linspace(0.5, 1, 100), np.ones(100))
    assert (np.random.get_state()[1] == before).all()
