"""Scoring headlines: each distinct text once, cleaned once for both lines; a copy says what its first said."""

from datetime import timedelta

import pytest
from newswire import NOW, write_params

from flows.opinion import scorer as scoring
from flows.opinion.look import look
from flows.opinion.scorer import Scorer
from flows.settings import product
from tasks.inference import Model
from tasks.opinion.settings import OpinionSettings
from tasks.opinion.store import Store, opened

HOUR = timedelta(hours=1)


@pytest.fixture
def asked(monkeypatch):
    """The texts that models were asked for, a list per question."""
    kept, predict = [], Model.predict

    def noted(model, texts, cleaned=False):
        assert cleaned
        kept.append(list(texts))
        return predict(model, texts, cleaned)

    monkeypatch.setattr(Model, "predict", noted)
    return kept


def loaded():
    return Scorer.load(product("finance", OpinionSettings))


def test_each_distinct_text_is_scored_once_by_each_line_and_cleaned_once(wire, asked, monkeypatch):
    write_params(topic="sentiment")
    made = loaded()
    assert made.topic.clean is made.sentiment.clean, "releases of one policy"
    cleaned = []
    clean = made.sentiment.clean
    spy = lambda text: cleaned.append(text) or clean(text)  # noqa: E731
    for model in (made.sentiment, made.topic):
        object.__setattr__(model, "clean", spy)
    rows = made.rows([{"id": n, "text": text} for n, text in enumerate(["a great", "an awful <b>day</b>", "a great"])])
    assert sorted(cleaned) == ["a great", "an awful <b>day</b>"]
    assert [sorted(texts) for texts in asked] == [["a great", "an awful day"]] * 2
    assert [row["id"] for row in rows] == [0, 1, 2]
    assert rows[0]["label"] == rows[2]["label"] == rows[0]["topic"] and rows[0]["score"] == rows[2]["score"]


def test_portions_and_order_change_no_answer(wire, monkeypatch):
    made, texts = loaded(), [f"{'great lovely ' * (n % 7)}dull {n}" for n in range(40)]
    whole = made.judged(texts)
    monkeypatch.setattr(scoring, "PORTION", 3)
    small = made.judged(reversed(texts))
    assert {text: one.label for text, one in whole.items()} == {text: one.label for text, one in small.items()}
    assert [small[text].score for text in texts] == pytest.approx([whole[text].score for text in texts], abs=1e-4)
    assert made.judged([]) == {}


def test_a_copy_is_not_scored_and_says_what_its_first_said(wire, asked):
    first = wire.say(NOW - HOUR, "", text="Acme is great")
    look("finance", NOW)
    asked.clear()
    copy = wire.say(NOW, "", text="ACME  is great")
    other = wire.say(NOW + 9 * 24 * HOUR, "", text="Acme is great")
    look("finance", NOW + 9 * 24 * HOUR)
    assert asked == [["Acme is great"]], "what comes after copies_hours is said anew"
    with opened() as engine, engine.connect() as connection:
        rows = Store(connection, "finance").texts([first, copy, other])
    assert [rows[one]["copy"] for one in (first, copy, other)] == [False, True, False]
    assert len({(row["label"], row["score"], row["release"]) for row in rows.values()}) == 1
