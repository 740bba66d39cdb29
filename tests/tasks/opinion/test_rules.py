"""The rules: what happened is found at the headline that is one too many, with those that caused it."""

from datetime import UTC, datetime

import numpy as np
import pytest
import yaml

from tasks.core.errors import SettingsError
from tasks.core.settings import parse
from tasks.opinion.rules import findings
from tasks.opinion.said import DAY, Said
from tasks.opinion.settings import OpinionSettings

TODAY = 20_000
NOW = (TODAY + 1) * DAY - 1


def settings(**rules):
    content = {
        "sentiment": "mood",
        "feeds": [{"name": "wire", "kind": "file", "path": "x.csv", "columns": {"text": "text"}}],
        "entities": {"Nokia": {}},
        "rules": {"index_drop": None, "volume_burst": None, "negative_run": None, **rules},
    }
    return parse(OpinionSettings, content, "products.finance")


def said(days, seed=0):
    """Headlines of (day before today, how many, share of negatives, text), spread over each day."""
    rng, rows = np.random.default_rng(seed), []
    for back, many, share, text in days:
        negative = rng.permutation(np.arange(many) < round(share * many))
        start = (TODAY - back) * DAY
        rows += [(start + (n + 1) * DAY // (many + 1), bad, text) for n, bad in enumerate(negative)]
    rows.sort(key=lambda row: row[0])
    times, bad, texts = (np.array(column) for column in zip(*rows, strict=True))
    scores = np.where(bad, -0.8, 0.3)
    ids = np.array([f"h{n}" for n in range(len(rows))], dtype=object)
    return Said(ids, times, scores, bad.astype(bool), texts.astype(object))


def quiet(many=10, share=0.1, text="calm"):
    return [(back, many, share, text) for back in range(3, 90)]


def found(days, since=NOW - 3 * DAY, **rules):
    return findings(said([*quiet(), *days]), "Nokia", settings(**rules), since, NOW)


def test_more_negatives_than_usual():
    one, *_ = found([(2, 10, 0.1, "calm"), (1, 10, 0.1, "calm"), (0, 20, 0.7, "bad")], index_drop={})
    assert (one.entity, one.rule) == ("Nokia", "index_drop")
    assert one.time // DAY == TODAY
    assert "fell to" in one.reason
    assert "10% usually" in one.reason
    made = said([*quiet(), (2, 10, 0.1, "calm"), (1, 10, 0.1, "calm"), (0, 20, 0.7, "bad")])
    negative = dict(zip(made.ids, made.negative, strict=True))
    assert all(negative[name] for name in one.headlines)
    assert 3 <= len(one.headlines) <= 5


def test_more_negatives_are_told_only_where_the_index_fell_so_far():
    days = [(2, 10, 0.1, "calm"), (1, 10, 0.1, "calm"), (0, 20, 0.7, "bad")]
    assert found(days, index_drop={"least": 0.05})
    assert found(days, index_drop={"least": 1.5}) == []


def test_a_usual_day_a_worse_share_of_few_and_a_better_day_raise_nothing():
    assert found([(0, 10, 0.1, "calm")], index_drop={}, volume_burst={}, negative_run={}) == []
    assert found([(0, 2, 0.5, "calm")], index_drop={}, negative_run={}) == []
    assert found([(0, 15, 0.0, "good")], index_drop={}, negative_run={}) == []


def test_many_headlines():
    (one,) = found([(0, 60, 0.1, "news")], volume_burst={})
    assert one.rule == "volume_burst"
    assert "60 headlines came in a day, where 10.0 are usual" in one.reason
    assert one.time < NOW - DAY // 4  # told before the day was over
    assert found([(0, 60, 0.1, "news")], volume_burst={"times": 10}) == []


def test_a_run_of_negatives():
    (one,) = found([(0, 8, 1.0, "bad")], negative_run={})
    assert "headlines in a row are negative." in one.reason
    assert found([(0, 3, 1.0, "bad")], negative_run={}) == []


def test_risk_words():
    rule = {"words": ["fraud", "破产"], "least": 2}
    assert found([(0, 1, 1.0, "a fraud"), (2, 1, 1.0, "fraud")], risk_words=rule) == []
    assert found([(0, 3, 0.0, "a fraud")], risk_words=rule) == []
    assert found([(0, 3, 1.0, "it was defrauded")], risk_words=rule) == []
    (one,) = found([(0, 1, 1.0, "Fraud!"), (0, 1, 1.0, "宣布破产")], risk_words=rule)
    assert one.severity == "severe"
    assert one.reason == "Nokia: 2 headlines within 24 hours speak of fraud, 破产."


def test_what_was_found_before_is_not_found_again_and_the_future_is_none():
    event = [(1, 20, 0.8, "bad")]
    one, *more = found(event, index_drop={})
    assert found(event, since=one.time, index_drop={}) == more
    assert found(event, since=more[-1].time, index_drop={}) == []
    assert findings(said([*quiet(), *event]), "Nokia", settings(index_drop={}), 0, one.time - 1) == []


def test_an_entity_without_a_baseline_is_not_judged():
    made = said([(0, 20, 1.0, "bad")])
    assert findings(made, "Nokia", settings(index_drop={}, volume_burst={}, negative_run={}), 0, NOW) == []
    assert findings(said([(5, 1, 1.0, "x")]), "Nokia", settings(index_drop={}), 0, NOW) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"entities": {"A1": {"aliases": ["Acme"]}, "Acme": {}}}, "belongs to one entity.*'acme'"),
        ({"entities": {}}, "at least 1 item"),
        ({"entities": {"Nokia": {"tickers": ["nok"]}}}, "must match"),
        ({"rules": {"index_dorp": None}}, r"rules.index_dorp: unknown key \(did you mean 'index_drop'"),
        ({"index": {"negative": "bad"}}, "index.values says no worth"),
        ({"detector": {"false_alarms_per_month": 0}}, "greater than 0"),
        ({"feeds": []}, "at least 1 item"),
    ],
)
def test_wrong_settings_are_told(change, message):
    content = {"sentiment": "mood", "entities": {"Nokia": {}}, "feeds": [
        {"name": "wire", "kind": "file", "path": "x.csv", "columns": {"text": "text"}}]} | change  # fmt: skip
    with pytest.raises(SettingsError, match=message):
        parse(OpinionSettings, yaml.safe_load(yaml.safe_dump(content)), "products.finance")


def test_days_are_those_of_utc():
    moment = datetime(2026, 5, 4, 23, 59, tzinfo=UTC).timestamp() * 1e6
    assert int(moment) // DAY == (datetime(2026, 5, 4, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days
