import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import cases
from tasks.behaviour import Suite
from tasks.cases import expand, fillings, shares

ROWS = {f"r{n}": f"the {word} film was shown in town" for n, word in enumerate(("great", "dull", "warm", "odd"))}
ANY_TEXT = st.text(max_size=60)


def drawn(seed=0, most=50, rows=ROWS, lexicons=None, **test):
    given = {"name": "t", "kind": "invariance", **test}
    return expand(Suite(lexicons=lexicons or {}, tests=[given]), rows, most, seed)


def rng():
    return np.random.default_rng(0)


def test_a_template_stands_for_every_filling_once():
    values = {"a": ["1", "2", "3"], "b": ["x", "y"]}
    found = drawn(kind="minimum", expect="positive", templates=["{a} {b} {a}"], lexicons=values)
    assert {case.text for case in found} == {f"{a} {b} {a}" for a in "123" for b in "xy"}
    assert [case.number for case in found] == list(range(6))
    assert {case.original for case in found} == {None}


def test_a_cap_is_dealt_out_over_the_templates():
    values = {"a": [str(n) for n in range(100)]}
    templates = ["{a}", "second {a}", "alone"]
    found = drawn(kind="minimum", expect="x", templates=templates, lexicons=values, most=21)
    assert Counter(case.template for case in found) == {"{a}": 10, "second {a}": 10, "alone": 1}
    assert len({case.text for case in found}) == 21


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=20), st.integers(1, 1000))
def test_shares_are_as_even_as_they_can_be(sizes, most):
    dealt = shares(sizes, most)
    assert sum(dealt) == min(most, sum(sizes))
    assert all(0 <= share <= size for share, size in zip(dealt, sizes, strict=True))
    short = [share for share, size in zip(dealt, sizes, strict=True) if share < size]
    assert not short or max(dealt) - min(short) <= 1


def test_fillings_of_an_immense_template_are_drawn_and_not_counted_out():
    values = {slot: [str(n) for n in range(200)] for slot in "abcdefgh"}
    found = list(fillings(["".join(f"{{{slot}}}" for slot in values)], values, 50, rng()))
    assert len({tuple(filling.values()) for _, filling in found}) == 50


def test_the_seed_decides_and_other_tests_do_not():
    one = {"name": "one", "kind": "invariance", "swap": "a", "templates": ["say {a}"]}
    values = {"a": [str(n) for n in range(100)]}
    alone = expand(Suite(lexicons=values, tests=[one]), ROWS, 5, 0)
    beside = expand(Suite(lexicons=values, tests=[{**one, "name": "two"}, one]), ROWS, 5, 0)
    assert [case for case in beside if case.test == "one"] == alone
    assert expand(Suite(lexicons=values, tests=[one]), ROWS, 5, 1) != alone


def test_a_swapped_slot_gets_another_value_and_the_rest_stays():
    values = {"who": ["Ann", "Bob", "Cy"], "good": ["great", "lovely"]}
    found = drawn(templates=["{who} is {good}"], swap="who", lexicons=values)
    assert len(found) == 6
    for case in found:
        before, after = case.original.split(" ", 1), case.text.split(" ", 1)
        assert before[0] != after[0]
        assert before[1] == after[1]


def test_pairs_give_the_value_before_and_after():
    found = drawn(templates=["it is {how}good"], pairs={"how": [["", "very "], ["rather ", "very "]]})
    assert [(case.original, case.text) for case in found] == [
        ("it is good", "it is very good"),
        ("it is rather good", "it is very good"),
    ]


def test_a_sentence_is_set_behind_with_the_same_values():
    found = drawn(templates=["the {noun} is odd."], append=["Yes, the {noun}!"], lexicons={"noun": ["film", "cast"]})
    assert {(case.original, case.text) for case in found} == {
        ("the film is odd.", "the film is odd. Yes, the film!"),
        ("the cast is odd.", "the cast is odd. Yes, the cast!"),
    }


def test_test_rows_are_drawn_once_each_and_named():
    found = drawn(test_rows=3, perturb=["casing"])
    assert len({case.template for case in found}) == len(found) == 3
    assert all(ROWS[case.template] == case.original for case in found)
    assert len(drawn(test_rows=100, perturb=["casing"])) == len(ROWS)
    assert drawn(test_rows=3, perturb=["casing"], rows={}) == []
    behind = drawn(test_rows=2, append=["in {town}"], lexicons={"town": ["Rome"]})
    assert all(case.text == f"{case.original} in Rome" for case in behind)


def test_what_does_not_change_is_no_case():
    assert drawn(templates=["a bc def"], perturb=["typos"]) == []
    assert [case.text for case in drawn(templates=["a bc def", "film"], perturb=["typos"])] != ["film"]


def test_fairness_holds_one_sentence_with_every_term_together():
    values = {"who": ["a", "b", "c"], "noun": ["film", "cast"]}
    found = drawn(kind="fairness", templates=["{noun} by {who}"], swap="who", lexicons=values)
    assert [(case.number, case.original, case.text) for case in found] == [
        (0, "film by a", "film by b"),
        (0, "film by a", "film by c"),
        (1, "cast by a", "cast by b"),
        (1, "cast by a", "cast by c"),
    ]


@given(ANY_TEXT)
def test_a_typo_swaps_two_neighbouring_letters_inside_a_word(text):
    typed = cases.typos(text, rng())
    assert sorted(typed) == sorted(text)
    different = [place for place, (a, b) in enumerate(zip(text, typed, strict=True)) if a != b]
    assert different == [] or (len(different) == 2 and different[1] == different[0] + 1)
    if different:
        assert re.fullmatch(r"[^\W\d_]{3}", text[different[0] - 1 : different[0] + 2])
    assert bool(different) == any(len(set(word[1:])) > 1 for word in re.findall(r"[^\W\d_]{4,}", text))


@given(ANY_TEXT)
def test_punctuation_changes_the_end_alone(text):
    changed = cases.punctuation(text, rng())
    assert changed.rstrip(" .!…。！") == text.rstrip(" .!…。！")


@pytest.mark.parametrize(
    ("text", "kept"), [("Is it good?", True), ("It is.", False), ("电影很好。", False), ("!?", True)]
)
def test_a_question_stays_a_question(text, kept):
    assert (cases.punctuation(text, rng()) == text) == kept


def test_casing_always_changes_what_has_letters():
    assert {cases.casing("ABC", rng()), cases.casing("abc", rng())} == {"abc", "ABC"}
    assert cases.casing("電影", rng()) == "電影"
