import numpy as np
import pytest

from tasks.drift.words import EXAMPLE, distinguishing, examples, features, tokens


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It's a WELL-made film!", ["its", "a", "wellmade", "film"]),
        ("It\u2019s \uff26\uff29\uff2c\uff2d", ["its", "film"]),
        ("这部电影", ["这", "部", "电", "影"]),
        ("电影very好", ["电", "影", "very", "好"]),
        ("映画はいい", ["映", "画", "は", "い", "い"]),
        ("영화 좋다", ["영화", "좋다"]),
        ("фильм", ["фильм"]),
        ("... !? \U0001f600", []),
        ("", []),
    ],
)
def test_terms_of_any_script(text, expected):
    assert tokens(text) == expected


def test_no_term_in_two_texts_is_no_feature():
    assert features(["one", "two", "three"]) is None
    assert features(["", "", ""]) is None


def test_single_terms_and_pairs_are_features():
    found, terms = features(["good film", "good film"])
    assert set(terms) == {"good", "film", "good film"}
    assert np.allclose(found.power(2).sum(axis=1), 1)


def test_terms_of_few_texts_are_not_shown():
    texts = ["good film"] * 40 + ["good phone"] * 30 + ["miller phone"] * 4
    shown = distinguishing(*features(texts), np.arange(74) >= 40)
    assert shown["more"][0] == {"term": "phone", "reference": 0.0, "current": 1.0}
    assert not any("miller" in one["term"] for one in shown["more"])
    assert "film" in [one["term"] for one in shown["less"]]


def test_examples_are_the_highest_ranked_beginnings_masked_and_each_once():
    texts = ["plain", "write to ann@example.com or call +41 44 668 18 00", "x " * 200, "x " * 200]
    found = examples(texts, np.array([0.1, 0.9, 0.8, 0.7]))
    assert found[0] == "write to [EMAIL] or call [PHONE]"
    assert len(found) == 3
    assert len(found[1]) == EXAMPLE
    assert found[1].endswith("\u2026")
    assert found[2] == "plain"
