"""The page of a product: entities, the index with its alerts, and down to the texts, escaped."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path

import pytest
import yaml
from ops_page import sign_in

from flows import alerts
from serving.log.rows import microseconds
from tasks.opinion import store as stores
from tasks.opinion.rules import Finding
from tasks.opinion.said import DAY
from tasks.opinion.store import Store

NOW = datetime.now(UTC)
TODAY = microseconds(NOW) // DAY
EVIL = "<script>alert(1)</script> Acme & co"


def headline(n, text, time):
    return {
        "id": f"wire-{n}", "time": time, "feed": "wire", "text": text, "split_key": f"k{n}", "label": "negative",
        "score": -0.7, "topic": "earn" if n % 2 else "acq", "release": "r1",
    }  # fmt: skip


@pytest.fixture
def product(told):
    """A product whose entity `Acme` has a story; of `R&D <b>` nothing is known."""
    params = yaml.safe_load(Path("params.yaml").read_text())
    feed = {"name": "wire", "kind": "file", "path": "wire.csv", "columns": {"text": "t"}}
    params["products"] = {"finance": {"title": "News", "sentiment": next(iter(params["lines"])), "feeds": [feed],
                                      "entities": {"Acme": {}, "R&D <b>": {}}}}  # fmt: skip
    Path("params.yaml").write_text(yaml.safe_dump(params))
    with stores.opened() as engine, engine.begin() as connection:
        store = Store(connection, "finance")
        rows = [headline(n, EVIL if n == 3 else f"said {n}", microseconds(NOW) - n) for n in range(4)]
        store.add(rows, {row["id"]: ["Acme"] for row in rows}, 48)
        index = [{"day": TODAY - n, "headlines": 4, "value": -0.2, "low": -0.4, "high": 0.1} for n in range(5, -1, -1)]
        store.set_index("Acme", "", index)
        store.set_index("Acme", "earn", [{**index[0], "value": None, "low": None, "high": None}])
        found = Finding("Acme", "index_drop", microseconds(NOW), "severe", "Acme: fell to -0.20", ("wire-3", "gone"))
        store.keep(found, "a1", None)
    return told


def test_the_page_shows_entities_alerts_and_days_and_escapes_texts(product, opened):
    page = opened().client.get("/products/finance").text
    assert '<h1 class="plain">Acme</h1>' in page
    assert "Opinion turns worse" in page
    assert "Acme: fell to -0.20" in page
    assert "<script>alert" not in page
    assert EVIL in unescape(page)
    assert "R&amp;D &lt;b&gt;" in page
    assert f"day={NOW.date().isoformat()}" in page
    assert 'href="/products/finance">News</a>' in opened().client.get("/").text


def test_open_alerts_of_a_product_stand_on_the_first_page(product, opened):
    client = opened().client
    tile = re.compile(r'<a class="card tile-line (\w+)" href="/products/finance">(.*?)</a>', re.S)
    colour, said = tile.search(client.get("/").text).groups()
    assert (colour, "No alert" in said) == ("green", True)
    alerts.raise_alert("finance", "opinion", "severe", EVIL, "why", subject="Acme/index_drop")
    alerts.raise_alert(None, "channel", "severe", "of all lines", "why")
    colour, said = tile.search(client.get("/").text).groups()
    assert (colour, "Open alerts: 1" in said, EVIL in unescape(said)) == ("red", True, True)
    assert "<script>alert" not in said and "of all lines" not in said


def test_down_to_the_texts_of_a_day_and_topic(product, opened):
    client = opened().client
    everything = client.get(f"/products/finance?entity=Acme&day={NOW.date().isoformat()}").text
    assert all(f"said {n}" in everything for n in (0, 1, 2))
    assert "sent on" not in everything
    some = client.get(f"/products/finance?entity=Acme&topic=acq&day={NOW.date().isoformat()}").text
    assert "said 0" in some
    assert "said 1" not in some
    nothing = client.get(f"/products/finance?entity=Acme&day={(NOW - timedelta(days=9)).date()}").text
    assert "Nothing was said." in nothing


def test_the_charts_mark_what_was_found(product, opened):
    client = opened().client
    charts = client.get("/products/finance/figures?entity=Acme").json()
    low, high, line, marks = charts["opinion"]["data"]
    assert (low["y"][0], high["y"][0], line["y"][0]) == (-0.4, 0.1, -0.2)
    assert line["x"][-1] == marks["x"][0] == NOW.date().isoformat()
    assert marks["text"] == ["Opinion turns worse"]
    assert charts["volume"]["data"][0]["y"] == [4] * 6
    assert client.get("/products/finance/figures?entity=Acme&topic=earn").json()["opinion"]["data"] == []
    assert client.get("/products/finance/figures", params={"entity": "R&D <b>"}).json()["opinion"]["data"] == []


def test_what_is_not_there_is_404_and_nonsense_is_none(product, opened):
    client = opened().client
    for path in ("/products/nothing", "/products/finance?entity=Nobody", "/products/nothing/figures"):
        assert client.get(path).status_code == 404
    assert client.get("/products/finance?days=7").status_code == 200
    assert client.get("/products/finance?entity=Acme&day=never").status_code == 422
    assert client.get("/products/finance?entity=Acme&topic=' OR 1=1 --").status_code == 200


def test_strangers_sign_in_first_where_there_is_a_team(product, keyed, opened):
    client = opened().client
    assert client.get("/products/finance").status_code == 303
    assert client.get("/products/finance/figures").status_code == 303
    sign_in(client, keyed["Anna"])
    assert client.get("/products/finance").status_code == 200


def test_chinese(product, opened):
    page = opened().client.get("/products/finance", headers={"accept-language": "zh"}).text
    assert "舆情转差" in page
