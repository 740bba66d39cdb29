"""Personal data: precision and recall by kind on written cases, and each country's identity numbers."""

import pytest
from personal_data import Score, cases, chinese, score

from tasks.identity import COUNTRIES, id_mask
from tasks.masks import PLACEHOLDERS
from tasks.persons import mask_person
from tasks.text import TextSettings, clean

EVERY = TextSettings(national_id="mask", person="mask")
FLOORS = {  # precision, recall: what the masks reach on these cases, with room for a case or two more
    "email": (1, 1), "phone": (0.85, 1), "card": (0.93, 1), "iban": (1, 1), "ip": (0.9, 1), "national_id": (1, 1),
    "person": (0.95, 0.75),
}  # fmt: skip


def shares(found: Score) -> tuple[float, float]:
    return found.right / (found.right + found.wrong), found.right / (found.right + found.missed)


def test_the_cases_are_many_of_every_kind_in_both_languages():
    known = cases()
    assert len(known) >= 400
    for kind in PLACEHOLDERS:
        for wide in (True, False):
            assert sum(kind == marked for case in known if chinese(case) == wide for marked, _ in case.marked) >= 3
    assert sum(not case.marked for case in known) >= 150


@pytest.mark.parametrize("wide", [None, True, False])
def test_precision_and_recall_keep_their_floors(wide):
    known = [case for case in cases() if wide is None or chinese(case) == wide]
    found = {kind: shares(counts) for kind, counts in score(lambda text: clean(text, EVERY), known).items()}
    slack = 0 if wide is None else 0.06  # fewer cases
    low = {
        kind: found[kind]
        for kind, (precision, recall) in FLOORS.items()
        if found[kind][0] < precision - slack or found[kind][1] < recall - slack
    }
    assert not low


def test_scores_count_what_is_missed_and_what_is_wrong():
    known = [case for case in cases() if any(kind == "email" for kind, _ in case.marked)]
    assert score(lambda text: text, known)["email"] == Score(0, 0, 21)
    assert score(lambda text: "[IP]", known)["ip"] == Score(0, len(known), 0)


@pytest.mark.parametrize(
    ("country", "given"),
    [
        ("br", "185.955.736-89"), ("cn", "11010519491231002X"), ("de", "57419348408"), ("es", "90688551B"),
        ("es", "X1376865Q"), ("fr", "164090157000106"), ("gb", "AB123456C"), ("in", "7676 7065 2494"),
        ("it", "RSSMRA85T10A562S"), ("kr", "630314-1584867"), ("nl", "BSN 596419107"), ("pl", "PESEL 69032308755"),
        ("se", "830203-9907"), ("us", "733-21-0360"),
    ],
)  # fmt: skip
def test_a_country_s_numbers_are_known_to_it_alone(country, given):
    assert id_mask([country])(given).endswith("[ID]")
    assert id_mask([other for other in COUNTRIES if other != country])(given) == given
    if country not in ("us", "gb"):  # these have no check digit
        place = max(n for n, char in enumerate(given) if char.isdigit())
        wrong = f"{given[:place]}{(int(given[place]) + 1) % 10}{given[place + 1 :]}"
        assert id_mask([country])(wrong) == wrong


def test_no_number_of_one_digit_alone_is_anybody_s():
    assert id_mask()("111.111.111-11") == "111.111.111-11"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Dear Mr. O'Neil, my name is Ann B. Lee.", "Dear Mr. [PERSON], my name is [PERSON]."),
        ("Dear customer, Mr. Everybody", "Dear customer, Mr. Everybody"),
        ("前台王小姐和李经理", "前台[PERSON]小姐和[PERSON]经理"),
        ("任何经理，金融老师", "任何经理，金融老师"),
        ("我叫李雷。我是来玩的", "我叫[PERSON]。我是来玩的"),
    ],
)
def test_names_that_something_announces(given, expected):
    assert mask_person(given) == expected
    assert mask_person(expected) == expected
