"""Boilerplate: found by how often it begins or ends texts."""

from tasks.boilerplate import Phrase, find, stripper


def texts(rows, beginning="", end=""):
    return [f"{beginning}{n} have seen film {n * 7}{end}" for n in range(rows)]


def test_finds_what_begins_and_ends_many_texts():
    found = find([*texts(200), *texts(40, end=". Sent from my phone"), *texts(30, "Dear team of the shop, ")])
    assert Phrase("Sent from my phone", "ends", 40) in found
    assert Phrase("Dear team of the shop,", "begins", 30) in found
    assert not [phrase for phrase in found if phrase.text.startswith("from my")]


def test_chinese_is_counted_by_characters():
    rows = [f"{n}号房间的空调坏了{'，本短信由系统发送' if n % 3 == 0 else ''}" for n in range(300)]
    assert any(phrase.text.endswith("本短信由系统发送") and phrase.texts == 100 for phrase in find(rows))


def test_few_texts_or_copies_are_no_evidence():
    assert find(texts(19, end=". Sent from my phone")) == []
    assert find(["the very same words here"] * 1000) == []


def test_what_is_found_can_be_taken_off():
    rows = texts(40, end=". Sent from my phone")
    (ending,) = find(rows)
    strip = stripper([ending.text])
    assert [strip(row) for row in rows] == texts(40, end=".")
    assert strip(ending.text) == ""
