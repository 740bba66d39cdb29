"""Rows of a JSON API: every fault is outlasted or said, nothing is taken twice, keys go to their own host alone."""

import json
import logging
from pathlib import Path

import api as apis
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import feeds, inbox, packages
from tasks.core.errors import SettingsError, SourceError
from tasks.core.line import Line
from tasks.sources import http, parse_sources
from tasks.sync import news, sync
from tasks.text import TextSettings

LINE, TEXT = Line("made"), TextSettings()
KEY = "k3y-0f-the-desk"
NEXT = {1: "/items?page=2", 2: "?page=3", 3: None}
BY = {
    "link": {"by": "link"},
    "link inside": {"by": "link", "next": "meta.next"},
    "cursor": {"by": "cursor", "next": "meta.next", "parameter": "cursor"},
    "page": {"by": "page", "parameter": "page"},
}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(packages, "FIRST_WAIT", 0.02)


@pytest.fixture
def api(workdir):
    made = apis.Api()
    yield made
    made.close()


def record(n, text=None):
    return {"id": n, "body": {"text": text or f"text {n}"}, "tags": ["a"], "at": f"2026-01-{n % 28 + 1:02d}T00:00:00Z"}


def records(*numbers):
    return [record(n) for n in numbers]


def source(api, **block):
    block = {
        "kind": "http", "name": "s", "url": api.url, "records": "items", "paging": BY["link"],
        "columns": {"id": "id", "text": "body.text", "label": "tags.0"}, "per_second": 1000, "timeout": 5,
    } | block  # fmt: skip
    return parse_sources({"sources": [block]}, "made")


def taken():
    return [text for path in inbox.batches(LINE) for text in pq.read_table(path)["text"].to_pylist()]


def texts(*numbers):
    return [f"text {n}" for n in numbers]


@pytest.mark.parametrize("by", BY)
def test_every_kind_of_paging(api, by):
    api.pages = [records(1, 2), records(3, 4), records(5)]
    if by == "link inside":
        api.faults["always"] = lambda handler: handler.send(
            200, {"items": api.pages[len(api.requests) - 1], "meta": {"next": NEXT.get(len(api.requests))}}
        )
    (path,) = sync(LINE, source(api, paging=BY[by]), TEXT)
    assert taken() == texts(1, 2, 3, 4, 5)
    told = inbox.provenance(path)
    assert {"kind": "http", "uri": api.url, "rows": 5, "duplicates": 0}.items() <= told.items()
    assert told["mark"]["types"] == {"id": "whole number", "text": "text", "label": "text"}


def test_one_page_without_paging_and_a_bare_list(api):
    api.faults["always"] = lambda handler: handler.send(200, records(1, 2))
    made = source(api, paging=None, records="")
    sync(LINE, made, TEXT)
    assert taken() == texts(1, 2)
    assert not news(LINE, made)


@pytest.mark.parametrize(
    "fault",
    [apis.status(429, Retry_After="0"), apis.status(500), apis.status(503), apis.cut, apis.broken, apis.silent],
    ids=["429", "500", "503", "cut", "broken", "silent"],
)
def test_faults_that_pass_are_outlasted(api, fault):
    api.pages = [records(1), records(2), records(3)]
    api.faults = {2: fault, 3: fault}
    sync(LINE, source(api, timeout=0.3), TEXT)
    assert taken() == texts(1, 2, 3)
    assert len(api.requests) == 5


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (apis.status(500), "answers 500"),
        (apis.status(401), "answers 401: it refuses the key"),
        (apis.status(404), "answers 404: it knows no such page"),
        (apis.status(204), "answers 204, which is no page"),
        (apis.status(429, Retry_After="4000"), "asks for 4000 s of patience"),
        (apis.status(429, Retry_After="Fri, 31 Dec 2100 23:59:59 GMT"), "s of patience"),
        (apis.status(302, Location="/items"), "more than 5 redirects"),
        (apis.page_of_html, "a web page instead of JSON"),
        (apis.broken, "is no JSON; perhaps it broke off"),
        (apis.cut, "broke off"),
        (lambda handler: handler.send(200, {"error": "no"}), "at 'items' stands nothing, no list.*keys error"),
        (lambda handler: handler.send(200, {"items": [1]}), "a record is a int, no object"),
        (lambda handler: handler.send(200, {"items": [{"id": 1}]}), "no record has anything at 'body.text'"),
        (lambda handler: handler.send(200, b'{"items": [' + b" " * 200_000), r"larger than 0\.125 MB"),
    ],
)
def test_faults_that_stay_are_said_and_nothing_is_taken(api, fault, message):
    api.pages = [records(1), records(2)]
    api.faults = dict.fromkeys(range(2, 20), fault)
    with pytest.raises(SourceError, match=message) as caught:
        sync(LINE, source(api, max_mb=0.125), TEXT)
    assert "s1gnature" not in str(caught.value)
    assert inbox.batches(LINE) == []


def test_retry_after_is_honoured(api, monkeypatch):
    waits = []
    monkeypatch.setattr("tenacity.nap.time.sleep", waits.append)
    api.pages, api.faults = [records(1)], {1: apis.status(429, Retry_After="7")}
    sync(LINE, source(api), TEXT)
    assert 7 in waits


def test_the_rate_is_kept(api, monkeypatch):
    waits = []
    monkeypatch.setattr("tasks.sources.client.time.sleep", waits.append)
    api.pages = [records(n) for n in range(4)]
    sync(LINE, source(api, per_second=0.5), TEXT)
    assert sum(wait > 1 for wait in waits) == 3


def test_after_a_fault_that_stayed_reading_goes_on_at_the_last_page(api, caplog):
    api.pages = [records(1), records(2), records(1, 3)]
    api.faults = dict.fromkeys(range(3, 20), apis.status(503))
    with pytest.raises(SourceError):
        sync(LINE, source(api), TEXT)
    api.faults, api.requests[:] = {}, []
    caplog.set_level(logging.INFO)
    sync(LINE, source(api), TEXT)
    assert taken() == texts(1, 2, 3)
    assert [request["query"].get("page") for request in api.requests] == ["3"]
    assert not list(Path(".tidegate/sync").glob("*/"))


def test_a_cursor_that_is_no_longer_known_begins_anew(api, monkeypatch):
    api.pages = [records(1), records(2), records(3)]
    api.faults = dict.fromkeys(range(3, 20), apis.status(503))
    made = source(api, paging=BY["cursor"])
    with pytest.raises(SourceError):
        sync(LINE, made, TEXT)
    api.requests[:] = []
    api.faults = {1: apis.status(410)}
    sync(LINE, made, TEXT)
    assert taken() == texts(1, 2, 3)


def test_killed_after_the_last_page(api, monkeypatch):
    class KilledError(BaseException):
        pass

    def kill(*_):
        raise KilledError

    api.pages = [records(1), records(2)]
    with monkeypatch.context() as patch:
        patch.setattr(feeds.Aside, "tables", kill)
        with pytest.raises(KilledError):
            sync(LINE, source(api), TEXT)
    api.requests[:] = []
    sync(LINE, source(api), TEXT)
    assert (taken(), api.requests) == (texts(1, 2), [])


def test_pages_and_rows_that_come_twice_are_taken_once(api):
    api.pages = [records(1, 2), records(2, 3), records(2, 3), records(4, 4)]
    (path,) = sync(LINE, source(api), TEXT)
    assert taken() == texts(1, 2, 3, 4)
    assert inbox.provenance(path)["duplicates"] == 4


def test_a_page_that_comes_for_ever(api):
    api.faults["always"] = lambda handler: handler.send(200, {"items": records(1)})
    with pytest.raises(SourceError, match="page 4 has the same records as 3 pages before it"):
        sync(LINE, source(api, paging=BY["page"]), TEXT)
    assert len(api.requests) == 4
    assert inbox.batches(LINE) == []


def test_a_page_that_names_itself_as_the_next(api):
    api.faults["always"] = lambda handler: handler.send(200, {"items": records(1), "meta": {"next": 5}})
    with pytest.raises(SourceError, match="names itself as the next"):
        sync(LINE, source(api, paging=BY["cursor"]), TEXT)


def test_pages_without_an_end(api):
    api.faults["always"] = lambda handler: handler.send(200, {"items": records(len(api.requests))})
    with pytest.raises(SourceError, match=r"more than 20 pages \(`max_pages`\)"):
        sync(LINE, source(api, paging=BY["page"], max_pages=20), TEXT)


def test_only_what_came_since_is_asked_for(api):
    api.pages = [records(1, 2), records(3)]
    made = source(api, watermark={"field": "at", "parameter": "since"})
    sync(LINE, made, TEXT)
    api.pages = [records(1, 2, 3)]
    assert not news(LINE, made)
    api.pages[0] += records(4)
    api.requests[:] = []
    assert news(LINE, made)
    (path,) = sync(LINE, made, TEXT)
    assert pq.read_table(path)["text"].to_pylist() == ["text 4"]
    assert {request["query"]["since"] for request in api.requests} == {"2026-01-04T00:00:00Z"}
    assert inbox.provenance(path)["mark"]["end"]["since"] == "2026-01-05T00:00:00Z"


def test_newest_first_stops_at_what_is_known(api):
    api.pages = [records(9, 8), records(7, 6), records(5, 4)]
    made = source(api, stop_at_known=True)
    sync(LINE, made, TEXT)
    assert not news(LINE, made)
    api.pages = [records(11, 10), records(9, 8), records(7, 6), records(5, 4)]
    api.requests[:] = []
    assert news(LINE, made)
    sync(LINE, made, TEXT)
    assert sorted(taken()) == sorted(texts(*range(4, 12)))
    assert len(api.requests) == 3


def test_changed_and_gone_records_are_said(api, caplog):
    api.pages = [records(1, 2), records(3)]
    sync(LINE, source(api), TEXT)
    api.pages = [[record(1, "changed")], records(3)]
    sync(LINE, source(api), TEXT)
    assert "1 have changed, which were taken anew, and 1 are gone" in caplog.text
    assert sorted(taken()) == ["changed", *texts(1, 2, 3)]


def test_a_field_that_changes_its_type(api):
    api.pages = [records(1)]
    sync(LINE, source(api), TEXT)
    api.pages = [[record(1) | {"id": "one"}]]
    with pytest.raises(SourceError, match=r"taken as 'id' held whole number .* now holds text"):
        sync(LINE, source(api), TEXT)


def test_the_key_goes_to_its_own_host_alone_and_is_told_nowhere(api, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("DESK_KEY", KEY)
    other = apis.Api()
    other.pages = [[], records(2)]
    api.pages = [records(1)]
    api.faults = {
        1: lambda handler: handler.send(200, {"items": records(1), "meta": {"next": f"{api.url}?page=9"}}),
        2: apis.status(307, Location=f"{other.url}?page=2"),
    }
    made = source(api, auth={"env": "DESK_KEY", "header": "X-Key", "prefix": ""}, paging=BY["link inside"])
    sync(LINE, made, TEXT)
    assert taken() == texts(1, 2)
    assert [request["headers"].get("X-Key") for request in api.requests] == [KEY, KEY]
    assert [request["headers"].get("X-Key") for request in other.requests] == [None]
    other.close()
    api.faults = {"always": apis.status(403)}
    with pytest.raises(SourceError) as caught:
        sync(LINE, made, TEXT)
    written = [path.read_bytes() for top in ("data", ".tidegate") for path in Path(top).rglob("*") if path.is_file()]
    assert KEY not in caplog.text + str(caught.value)
    assert not any(KEY.encode() in content for content in written)
    monkeypatch.setenv("DESK_KEY", "bad\nkey")
    with pytest.raises(SourceError, match="characters that no header can carry"):
        sync(LINE, made, TEXT)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"url": f"https://me:{KEY}@h/x"}, "holds a key or a password, which is not shown"),
        ({"url": f"https://h/x?api_key={KEY}"}, "holds a key or a password"),
        ({"url": f"ftp://me:{KEY}@h/x"}, "holds a key"),
        ({"auth": f"Bearer {KEY}"}, "is a block"),
        ({"auth": {"env": f"Bearer {KEY}"}}, "is not shown"),
        ({"auth": {"env": "X", "header": f"Authorization: {KEY}"}}, "is not shown"),
        ({"auth": {"env": "X", "prefix": f"Bearer {KEY}"}}, "is not shown"),
        ({"auth": {"key": KEY}}, "unknown key"),
        ({"paging": {"by": "cursor"}}, "needs `next`"),
        ({"paging": {"by": "page", "paramter": "page"}}, "did you mean 'parameter'"),
        ({"stop_at_known": True, "watermark": {"field": "a", "parameter": "b"}}, "not both"),
    ],
)
def test_settings_that_are_wrong(block, message):
    class Nowhere:
        url = "https://example.org/items"

    with pytest.raises(SettingsError, match=message) as caught:
        source(Nowhere, **block)
    assert KEY not in str(caught.value)


@given(
    st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)),
    st.text(),
)
def test_a_path_leads_somewhere_or_to_nothing(content, path):
    json.dumps(http.found(content, path))


@pytest.mark.parametrize(
    ("one", "other"),
    [("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5+00:00"), ("2026-01-01T12:00:00+02:00", "2026-01-01T11:00:00Z"),
     (9, 10), ("a9", "b1"), (None, 1)],
)  # fmt: skip
def test_which_watermark_is_later(one, other):
    assert http._later(one, other)
    assert not http._later(other, one)
