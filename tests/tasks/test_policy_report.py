"""Rows under the text policy: Arrow's search leaves no row out that the policy would change or drop."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policies import FRAGMENTS, KINDS, policies, slowly

from tasks import identity
from tasks.policy_report import Treated, total
from tasks.text import PLACEHOLDERS, TextSettings

PLAIN = [fragment for fragment in FRAGMENTS if fragment.isascii()]
ODD = ["é", "张", "我叫", "[EMAIL]", "[ID]", "[PERSON]", "\x7f", "\t", "\n"]
FOUND = ["ask Mr. Smith", "Dear Ann", "my name is Ann Lee", "AB 12 34 56 C", "DNI 90688551B", "so Sent from my phone"]
TEXTS = (
    st.lists(st.sampled_from([*PLAIN, *ODD]), max_size=12).map("".join)
    | st.text("ab1 .-/()&<@:\x00\t\n\x7fé")
    | st.lists(st.sampled_from(FOUND), max_size=3).map(" ".join)
)


def column(texts):
    return pa.chunked_array([pa.array(texts, pa.string())])


@settings(max_examples=500, deadline=None)
@given(st.lists(st.none() | TEXTS, max_size=10), policies)
def test_rows_are_treated_as_each_text_would_be(texts, policy):
    drop = [PLACEHOLDERS[kind] for kind in KINDS if getattr(policy, kind) == "drop"]
    expected = [text if text is None else slowly(text, policy) for text in texts]
    cleaned, kept = Treated(policy).rows(column(texts))
    assert cleaned == expected
    assert kept == [text is None or not any(placeholder in text for placeholder in drop) for text in expected]


@settings(max_examples=300, deadline=None)
@given(st.data())
@pytest.mark.parametrize("form", identity._FORMS, ids=lambda form: f"{form.country}-{form.check}")
def test_no_identity_number_is_overlooked(form, data):
    """Whatever its check digits: those of a made number are seldom right."""
    number = data.draw(st.from_regex(form.shape, fullmatch=True).filter(str.isascii))
    found = Treated(TextSettings(national_id="mask"))._suspects(column([f"so {number} it is", f"so {number.lower()}"]))
    assert found == [True, True]


@pytest.mark.parametrize(
    ("kind", "given", "cleaned"),
    [
        ("national_id", "DNI 90688551B", "DNI [ID]"), ("person", "ask Mr. Smith", "ask Mr. [PERSON]"),
        ("email", "ab@cd.ef", "[EMAIL]"), ("email", "masked earlier: [EMAIL]", "masked earlier: [EMAIL]"),
    ],
)  # fmt: skip
def test_what_is_dropped_is_counted(kind, given, cleaned):
    treated = Treated(TextSettings(**{kind: "drop"}))
    assert treated.rows(column(["fine", given, None])) == (["fine", cleaned, None], [True, False, True])
    assert treated.told() == {"changed": {} if given == cleaned else {kind: 1}, "dropped": {kind: 1}}


def test_boilerplate_has_no_short_cut():
    treated = Treated(TextSettings(boilerplate=("Sent from my phone",)))
    assert treated.rows(column(["fine Sent from my phone", None]))[0] == ["fine", None]
    assert total([treated.told(), treated.told(), {}])["changed"] == {"boilerplate": 2}
