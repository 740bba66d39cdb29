"""Both languages say the same things."""

import json
import re
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.alerts import Kind
from flows.loop import Outcome
from flows.ops.words import LANGUAGES, Words, language_of
from tasks.drift.result import Health, Severity

PACKAGE = files("flows.ops")
CATALOGUES = {code: json.loads(PACKAGE.joinpath("words", f"{code}.json").read_text()) for code in LANGUAGES}
ENGLISH = CATALOGUES["en"]


def fields(text):
    return set(re.findall(r"{(\w+)}", text))


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_catalogue_has_every_sentence_with_the_same_fields(code):
    assert set(CATALOGUES[code]) == set(ENGLISH)
    assert {key: fields(text) for key, text in CATALOGUES[code].items()} == {k: fields(t) for k, t in ENGLISH.items()}
    assert all(text for text in CATALOGUES[code].values())


def test_chinese_is_chinese():
    same = {key for key, text in CATALOGUES["zh"].items() if text == ENGLISH[key]}
    assert same <= {"around.prefect", "chart.p95"}


def test_every_sentence_is_used_and_every_used_one_is_there():
    sources = [f for folder in ("", "templates") for f in PACKAGE.joinpath(folder).iterdir() if f.is_file()]
    text = "\n".join(source.read_text() for source in sources if source.name.endswith((".py", ".j2")))
    used = set(re.findall(r"""["']([a-z_]+(?:\.[a-z_0-9]+)+)["']""", text)) | {
        f"time.{unit}" for unit in ("day", "days", "hour", "hours", "minute", "minutes")
    }
    used |= {f"health.{colour}" for colour in ("amber", "red", "grey")}
    begun = set(re.findall(r"""t\("([a-z_.]+\.)" ~""", text)) | set(re.findall(r"""name\("([a-z]+)", """, text))
    begun = tuple(one if one.endswith(".") else f"{one}." for one in begun)
    assert {key for key in ENGLISH if key not in used and not key.startswith(begun)} == set()
    missing = set(re.findall(r"""\bt\("([a-z_.0-9]+)"[,)]""", text)) - set(ENGLISH)
    assert missing == set()


@pytest.mark.parametrize(
    ("group", "names"),
    [
        ("severity", get_args(Severity)),
        ("health.word", get_args(Health)),
        ("health.short", get_args(Health)),
        ("outcome", get_args(Outcome)),
        ("alert", get_args(Kind)),
    ],
)
def test_every_name_has_its_word(group, names):
    assert {f"{group}.{name}" for name in names} <= set(ENGLISH)


def test_a_name_that_is_newer_than_the_catalogue_stands_for_itself():
    assert Words("zh").name("check", "smell") == "smell"


@pytest.mark.parametrize(
    ("past", "english", "chinese"),
    [
        (timedelta(seconds=5), "just now", "刚刚"),
        (timedelta(minutes=1, seconds=5), "a minute ago", "1 分钟前"),
        (timedelta(hours=5, minutes=5), "5 hours ago", "5 小时前"),
        (timedelta(days=40), "40 days ago", "40 天前"),
    ],
)
def test_how_long_ago(past, english, chinese):
    time = datetime.now(UTC) - past
    assert (Words("en").ago(time), Words("zh").ago(time.isoformat())) == (english, chinese)
    assert Words("en").ago(None) == "never"
    assert "ahead" in Words("en").ago(datetime.now(UTC) + timedelta(hours=1))


@given(st.text(), st.dictionaries(st.just("tidegate_language"), st.text()))
def test_whatever_a_browser_says_is_one_of_our_languages(accepted, cookies):
    assert language_of(cookies, accepted) in LANGUAGES
