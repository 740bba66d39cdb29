"""Entries of feeds: each taken once, what has not changed not asked for again, every fault said."""

import logging
from datetime import UTC, datetime, timedelta

import api as apis
import pyarrow.parquet as pq
import pytest

from tasks import inbox, packages
from tasks.core.errors import SettingsError, SourceError
from tasks.core.line import Line
from tasks.sources import parse_sources
from tasks.sync import news, sync
from tasks.text import TextSettings

LINE, TEXT = Line("made"), TextSettings()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(packages, "FIRST_WAIT", 0.02)


@pytest.fixture
def api(workdir):
    made = apis.Api()
    yield made
    made.close()


def item(n, more=""):
    return f"<item><guid>e{n}</guid><title>Profit {n} fell &amp;amp; rose</title>{more}</item>"


def rss(*items):
    return f'<?xml version="1.0"?><rss version="2.0"><channel><title>t</title>{"".join(items)}</channel></rss>'.encode()


def serve(api, body, **headers):
    """Answer with a feed, and with 304 to whoever has its ETag."""

    def answer(handler):
        asked = handler.headers.get("If-None-Match")
        if asked and asked == headers.get("ETag"):
            handler.send(304, b"")
        else:
            handler.send(200, body, headers, kind="application/rss+xml")

    api.faults["always"] = answer


def source(api, **block):
    block = {"kind": "rss", "name": "wire", "url": api.url, "timeout": 5, "per_second": 1000} | block
    return parse_sources({"sources": [block]}, "made")


def rows():
    return [row for path in inbox.batches(LINE) for row in pq.read_table(path).to_pylist()]


def test_entries_are_taken_once_by_their_ids(api):
    made = source(api)
    serve(api, rss(item(2), item(1)))
    sync(LINE, made, TEXT)
    assert sorted((row["id"], row["text"]) for row in rows()) == [
        ("e1", "Profit 1 fell & rose"), ("e2", "Profit 2 fell & rose"),
    ]  # fmt: skip
    serve(api, rss(item(3), item(2).replace("fell", "did not fall")))
    assert news(LINE, made)
    sync(LINE, made, TEXT)
    assert sorted(row["id"] for row in rows()) == ["e1", "e2", "e3"]
    assert not news(LINE, made)


def test_what_has_not_changed_is_not_sent_again(api):
    made = source(api)
    serve(api, rss(item(1)), ETag='"v1"', **{"Last-Modified": "Mon, 04 May 2026 00:00:00 GMT"})
    sync(LINE, made, TEXT)
    assert not news(LINE, made)
    assert sync(LINE, made, TEXT) == []
    asked = api.requests[-1]["headers"]
    assert asked["If-None-Match"] == '"v1"'
    assert asked["If-Modified-Since"] == "Mon, 04 May 2026 00:00:00 GMT"
    assert len(rows()) == 1


def test_atom_with_times_summaries_and_ids_that_are_missing(api):
    body = """<?xml version="1.0" encoding="utf-8"?><feed xmlns="http://www.w3.org/2005/Atom"><title>t</title>
    <entry><id>a</id><title type="html">&lt;b&gt;Nokia&lt;/b&gt; fell</title>
    <updated>2026-05-04T10:00:00+02:00</updated><summary>It lost 5 %. Write to a@example.org.</summary></entry>
    <entry><link href="https://example.org/1"/><title>诺基亚下跌</title></entry>
    <entry><title>neither id nor link</title></entry></feed>"""
    serve(api, body.encode())
    sync(LINE, source(api, summary=True), TEXT)
    found = {row["text"]: row for row in rows()}
    assert set(found) == {"Nokia fell It lost 5 %. Write to [EMAIL].", "诺基亚下跌", "neither id nor link"}
    first = found["Nokia fell It lost 5 %. Write to [EMAIL]."]
    assert (first["id"], first["created_at"]) == ("a", datetime(2026, 5, 4, 8, tzinfo=UTC))
    assert found["诺基亚下跌"]["id"] == "https://example.org/1"
    assert len(found["neither id nor link"]["id"]) == 32
    assert found["neither id nor link"]["created_at"] is None


def test_entries_without_text_and_of_the_future_are_told(api, caplog):
    ahead = (datetime.now(UTC) + timedelta(days=3)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    serve(api, rss(item(1, f"<pubDate>{ahead}</pubDate>"), "<item><guid>e2</guid></item>"))
    caplog.set_level(logging.WARNING)
    sync(LINE, source(api), TEXT)
    assert [(row["id"], row["created_at"]) for row in rows()] == [("e1", None)]
    assert "1 of 2 entries have no text" in caplog.text
    assert "1 of 2 entries are dated in the future" in caplog.text


WHOLE = rss(item(1), item(2))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<!doctype html><html><title>Log in</title></html>", "a web page instead of a feed"),
        (WHOLE[:-40], "broken XML"),
        (b"", "no RSS and no Atom"),
        (b'{"items": []}', "no RSS and no Atom"),
        (b"/etc/hostname", "no RSS and no Atom"),
        (b'<?xml version="1.0"?><notes><note/></notes>', "no RSS and no Atom"),
        (
            rss("<item><guid>e1</guid><description>d</description></item>"),
            "none of 1 entries has a title; `summary: true`",
        ),
        (rss(item(1)) + b" " * 2_000_000, r"larger than 1 MB"),
    ],
    ids=["html", "broken off", "nothing", "json", "a path", "xml", "no titles", "too large"],
)
def test_what_is_no_feed_is_said_and_nothing_is_taken(api, body, message):
    serve(api, body)
    with pytest.raises(SourceError, match=message):
        sync(LINE, source(api, max_mb=1), TEXT)
    assert rows() == []


def test_small_faults_of_a_whole_feed_are_let_pass_and_an_empty_one_is_none(api):
    serve(api, rss(item(1), "<item><guid>e2</guid><title>R&D grew</title></item>"))
    sync(LINE, source(api), TEXT)
    assert sorted(row["text"][:3] for row in rows()) == ["Pro", "R&D"]
    serve(api, rss())
    assert sync(LINE, source(api), TEXT) == []


def test_entities_of_the_xml_reach_no_file(api):
    body = b'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]><rss version="2.0"><channel>'
    serve(api, body + b"<item><guid>1</guid><title>read &x; this</title></item></channel></rss>")
    sync(LINE, source(api), TEXT)
    (row,) = rows()
    assert "this" in row["text"]
    assert len(row["text"]) <= len("read &x; this")


@pytest.mark.parametrize("fault", [apis.status(503), apis.status(429, Retry_After="0"), apis.silent])
def test_faults_that_pass_are_outlasted(api, fault):
    serve(api, rss(item(1)))
    api.faults[1] = fault
    sync(LINE, source(api, timeout=0.3), TEXT)
    assert len(rows()) == 1


def test_keys_come_from_the_environment_and_stand_in_no_address(api, monkeypatch):
    serve(api, rss(item(1)))
    monkeypatch.setenv("WIRE_KEY", "s3cret")
    sync(LINE, source(api, auth={"env": "WIRE_KEY"}), TEXT)
    assert api.requests[-1]["headers"]["Authorization"] == "Bearer s3cret"
    with pytest.raises(SettingsError, match="kind rss holds a key") as caught:
        source(api, url=f"{api.url}?token=s3cret")
    assert "s3cret" not in str(caught.value)
    with pytest.raises(SettingsError, match="columns of its own"):
        source(api, columns={"text": "title"})
