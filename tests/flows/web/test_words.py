"""Both languages of every page say the same things."""

import re
from datetime import UTC, datetime, timedelta
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.web.words import LANGUAGES, Words, catalogue, language_of

PACKAGES = ("flows.web", "flows.ops", "flows.annotate", "flows.chat", "flows.recommend")
SAME = {"around.prefect", "chart.p95"}
"""Sentences that are the same in English and Chinese."""
COMPOSED = {f"time.{unit}" for unit in ("day", "days", "hour", "hours", "minute", "minutes")} | {
    f"health.{colour}" for colour in ("amber", "red", "grey")
}


def fields(text):
    return set(re.findall(r"{(\w+)}", text))


def sources(package):
    folders = [files(package), files(package).joinpath("templates")]
    found = [file for folder in folders for file in folder.iterdir() if file.is_file()]
    return "\n".join(file.read_text() for file in found if file.name.endswith((".py", ".j2")))


@pytest.mark.parametrize("package", PACKAGES)
def test_every_catalogue_has_every_sentence_with_the_same_fields(package):
    english, chinese = catalogue(package, "en"), catalogue(package, "zh")
    assert {key: fields(text) for key, text in english.items()} == {key: fields(text) for key, text in chinese.items()}
    assert all(english.values()) and all(chinese.values())
    assert {key for key, text in chinese.items() if text == english[key]} <= SAME


@pytest.mark.parametrize("package", PACKAGES)
def test_every_sentence_is_used_and_every_used_one_is_there(package):
    text = sources(package) + (sources("flows.web") if package != "flows.web" else "")
    english = catalogue(package, "en")
    used = set(re.findall(r"""["']([a-z_]+(?:\.[a-z_0-9]+)+)["']""", text)) | COMPOSED
    begun = set(re.findall(r"""t\("([a-z_.]+\.)" ~""", text)) | set(
        re.findall(r"""(?:name|list)\("([a-z]+)", """, text)
    )
    begun = tuple(one if one.endswith(".") else f"{one}." for one in begun)
    assert {key for key in english if key not in used and not key.startswith(begun)} == set()
    missing = set(re.findall(r"""\bt\("([a-z_.0-9]+)"[,)]""", text)) - set(english) - set(catalogue("flows.web", "en"))
    assert missing == set()


def test_a_name_that_is_newer_than_the_catalogue_stands_for_itself():
    assert Words("zh", "flows.ops").name("check", "smell") == "smell"


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
    assert (Words("en", "flows.ops").ago(time), Words("zh", "flows.ops").ago(time.isoformat())) == (english, chinese)
    assert Words("en", "flows.ops").ago(None) == "never"
    assert "ahead" in Words("en", "flows.ops").ago(datetime.now(UTC) + timedelta(hours=1))


@given(st.text(), st.dictionaries(st.just("tidegate_language"), st.text()))
def test_whatever_a_browser_says_is_one_of_our_languages(accepted, cookies):
    assert language_of(cookies, accepted) in LANGUAGES
