"""Entities in texts: what names somebody is found, what only looks so is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.opinion.entities import Matcher, shared, words
from tasks.opinion.settings import EntitySettings

ENTITIES = {
    "Nokia": EntitySettings(aliases=("Nokia Oyj", "诺基亚"), tickers=("NOK", "NOK1V")),
    "Apple": EntitySettings(aliases=("Apple Inc.",), tickers=("AAPL",)),
    "America": EntitySettings(),
    "Bank of America": EntitySettings(aliases=("BofA",), tickers=("BAC", "A")),
    "Allstate": EntitySettings(tickers=("ALL",), bare_tickers=False),
    "Müller": EntitySettings(aliases=("AT&T",)),
    "SK Hynix": EntitySettings(tickers=("000660",)),
}
MATCHER = Matcher(ENTITIES)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Nokia's profit fell", ["Nokia"]),
        ("NOKIA PROFIT FELL", ["Nokia"]),
        ("nokia oyj, said today", ["Nokia"]),
        ("Ｎｏｋｉａ in full width", ["Nokia"]),
        ("Nokian Tyres grew", []),
        ("a pineapple", []),
        ("Apple Inc.", ["Apple"]),
        ("Bank of America grew", ["Bank of America"]),
        ("Bank  of\nAmerica and America", ["America", "Bank of America"]),
        ("昨日诺基亚公司表示利润下降", ["Nokia"]),
        ("诺基亚Nokia", ["Nokia"]),
        ("MÜLLER and at&t", ["Müller"]),
        ("shares of NOK rose", ["Nokia"]),
        ("shares of nok rose", []),
        ("$NOK and (AAPL)", ["Apple", "Nokia"]),
        ("HEL:NOK1V fell", ["Nokia"]),
        ("NOK1V.HE fell", []),
        ("NASDAQ: AAPL", ["Apple"]),
        ("A profit for ALL", []),
        ("($A) and ($ALL)", ["Allstate", "Bank of America"]),
        ("BANK BAC TO PROFIT AFTER LONG LOSSES", []),
        ("BANK $BAC TO PROFIT AFTER LONG LOSSES", ["Bank of America"]),
        ("000660 up", ["SK Hynix"]),
        ("1000660 up", []),
        ("", []),
    ],
)
def test_who_is_named(text, found):
    assert MATCHER.find(text) == found


def test_a_name_of_two_entities_is_told():
    twice = {"Delta": EntitySettings(aliases=("DELTA Air",)), "Delta Air": EntitySettings(), "X": EntitySettings()}
    assert shared(twice) == {"delta air": ["Delta", "Delta Air"]}
    assert shared(ENTITIES) == {}


@given(st.text(st.sampled_from("aA诺基 .$N"), max_size=12), st.text(st.sampled_from("bB亚 .)O"), max_size=12))
def test_a_marked_ticker_and_a_set_apart_name_are_always_found(before, after):
    assert "Apple" in MATCHER.find(f"{before} $AAPL {after}")
    assert "Allstate" in MATCHER.find(f"{before} allstate {after}")


def test_words_are_whole_words():
    pattern = words(["fraud", "chapter 11", "破产"])
    assert [match[0] for match in pattern.finditer("a fraud, defrauded; chapter 11 chapter 111 宣布破产了")] == [
        "fraud", "chapter 11", "破产",
    ]  # fmt: skip
    assert words([]) is None
