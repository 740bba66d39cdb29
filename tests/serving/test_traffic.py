"""Which requests a canary and a shadow see, and when a canary ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from releases import beside

from serving.traffic import FEW, Tally, lower, meets_canary, meets_shadow


@given(
    key=st.text(max_size=20), release=st.text("0123456789abcdef", min_size=12, max_size=12), share=st.floats(0.01, 1)
)
def test_a_key_always_meets_the_same_release_and_a_larger_share_loses_nobody(key, release, share):
    met = meets_canary(beside(release, share), key)
    assert met == meets_canary(beside(release, share), key)
    assert not met or meets_canary(beside(release, min(1.0, 2 * share)), key)
    assert meets_canary(beside(release, 1.0), key)


def test_the_share_of_keys_and_of_requests():
    canary = beside("0123456789ab", 0.2)
    assert 0.17 < sum(meets_canary(canary, f"caller {n}") for n in range(5000)) / 5000 < 0.23
    assert 0.17 < sum(meets_shadow(canary) for _ in range(5000)) / 5000 < 0.23
    assert all(meets_shadow(beside("0123456789ab", 1.0)) for _ in range(100))


def test_another_release_meets_other_keys():
    keys = [f"caller {n}" for n in range(1000)]
    met = [{key for key in keys if meets_canary(beside(release, 0.1), key)} for release in ("a" * 12, "b" * 12)]
    assert met[0] - met[1]
    assert met[1] - met[0]


def test_a_canary_ends_once_after_more_failures_than_allowed():
    tally = Tally(beside("a" * 12, max_errors=2))
    assert [tally.failed() for _ in range(4)] == [None, None, "3 requests failed", None]
    assert tally.ended == "3 requests failed"


def test_a_canary_without_rules_does_not_end():
    tally = Tally(beside("a" * 12))
    assert not any(tally.failed() or tally.compared(10, 10) for _ in range(50))


@pytest.mark.parametrize(("each", "ends"), [(1, False), (2, False), (8, True)])
def test_a_canary_ends_when_it_surely_differs_too_often(each, ends):
    tally = Tally(beside("a" * 12, max_disagreement=0.2))
    assert bool([reason for _ in range(30) if (reason := tally.compared(10, each))]) == ends
    assert (tally.ended is not None) == ends


def test_few_texts_decide_nothing():
    tally = Tally(beside("a" * 12, max_disagreement=0.0))
    assert tally.compared(FEW - 1, FEW - 1) is None
    assert tally.compared(1, 0) == f"{FEW - 1} of {FEW} texts got another label than the champion's"


def test_lower_against_values_of_a_library():
    from statsmodels.stats.proportion import proportion_confint

    for hits, of in ((0, 20), (3, 20), (50, 100), (20, 20)):
        expected = proportion_confint(hits, of, alpha=0.0026997960632601866, method="wilson")[0]
        assert lower(hits, of) == pytest.approx(expected, abs=1e-9)
