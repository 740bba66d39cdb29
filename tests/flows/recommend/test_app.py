"""The page of a line that recommends: users, histories of one's own, lists, and what is refused."""

import re
from html import unescape
from types import SimpleNamespace

import films
import pytest
import yaml
from ops_page import sign_in
from starlette.testclient import TestClient

from flows.recommend.__main__ import serve
from flows.recommend.app import LONGEST, _now, create_app
from flows.recommend.desk import Desk
from flows.recommend.shelf import Shelf, _scale
from flows.recommend_settings import RecommendSettings, load_recommend
from serving.security import Keys
from tasks.core.errors import SettingsError, TidegateError
from tasks.kinds.rank.shared import history
from tasks.team import hash_key, new_key

HERE = "http://127.0.0.1"
ODD = '"><script>alert(2)</script>'


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    return Shelf(films.bundle(tmp_path_factory.mktemp("films") / "0123456789ab"))


@pytest.fixture
def client(shelf, workdir):
    return made(shelf)


def made(shelf):
    desk = Desk("films", RecommendSettings(), Keys(), shelf)
    return TestClient(create_app(desk), base_url=HERE, follow_redirects=False)


def codes(html):
    """The ids of items, those of the reasons left out."""
    return [
        unescape(one) for one in re.findall(r"<code>(.*?)</code>", re.sub(r'(?s)<ul class="why">.*?</ul>', "", html))
    ]


def seen(client, **parts):
    """What a page shows: titles of the history and of the list, and its text."""
    answer = client.get("/", params=parts)
    assert answer.status_code == 200, answer.text
    told, listed = (re.search(rf'id="{name}">(.*?)</section>', answer.text, re.S)[1] for name in ("history", "list"))
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text))
    return SimpleNamespace(told=codes(told), listed=codes(listed), words=unescape(words), html=answer.text)


def test_a_user_is_shown_with_history_list_and_reasons(client, shelf):
    page = seen(client)
    assert page.told == ["70", "12", "50"], "the latest first"
    assert page.listed[:2] == ["172", "181"] and not {"50", "12", "70"} & set(page.listed)
    assert f"Release {shelf.release} · 8 items" in page.words
    assert "Of 2 items that this user liked afterwards, 2 are in the list." in page.words
    assert page.words.count("liked later") == 2
    assert "disliked" in page.words and "so-so" in page.words and "2001-09-09 01:46 UTC" in page.words
    assert re.search(r'<ul class="why"><li><b>\d+ %</b> <span class="title">Star &lt;i&gt;Wars', page.html)
    second = seen(client, user=2)
    assert second.told == ["gone", "12", "13"]
    assert "unknown here" in second.words and "not rated" in second.words and "of the test rows" in second.words


def test_texts_and_ids_that_attack_are_shown_as_text(client):
    for parts in (
        {"user": 2},
        {"history": "[]", "find": ODD},
        {"history": history.write([(ODD, 5.0)]), "find": "ends"},
    ):
        page = seen(client, **parts)
        assert "<script>" not in page.html and "<img" not in page.html and ODD not in page.html
        assert unescape(page.html).count(ODD) > 0


def test_top_variety_and_what_is_there_already(client):
    assert len(seen(client, top=2).listed) == 2
    assert "50" in seen(client, seen=1).listed
    sort = lambda page: {films.FILMS[item][1] for item in page.listed[:3]}  # noqa: E731
    fans = {"history": '[["50",5]]', "top": 3, "seen": 1}
    assert sort(seen(client, **fans)) == {"space"}
    assert len(sort(seen(client, **fans, diversity=90))) == 3


@pytest.mark.parametrize(
    "parts", [{"top": "0"}, {"top": "x"}, {"top": "9" * 30}, {"diversity": "-1"}, {"seen": "maybe"}]
)
def test_what_an_address_says_wrong_is_as_at_the_start(client, parts):
    assert seen(client, **parts).told


def test_a_history_is_put_together_by_searching_and_rating(client):
    empty = seen(client, history="[]")
    assert empty.listed[:2] == ["50", "70"] and "many like" in empty.words
    assert "whoever is new gets what many like" in empty.words
    assert "Nothing of this history is known" in seen(client, history='[["gone",5]]').words
    found = seen(client, history="[]", find="THE e", top=3)
    assert found.told == ["172", "181"], "what more people like comes first"
    assert seen(client, history="[]", find="13").told[0] == "13", "an id finds its item"
    assert "No item has all of these words" in seen(client, history="[]", find="the nothing").words
    answer = client.get("/add", params={"history": "[]", "item": "172", "rating": "5", "top": 3})
    assert answer.status_code == 303
    page = client.get(answer.headers["location"])
    assert 'value="[[&#34;172&#34;,5]]"' in page.text
    again = client.get("/add", params={"history": '[["172",5],["50",null]]', "item": "172", "rating": ""})
    page = seen(client, history='[["50",null],["172",null]]')
    assert "172" in again.headers["location"] and page.told == ["172", "50"]
    remove = [unescape(one) for one in re.findall(r'<a class="button small" href="([^"]*)"', page.html)]
    assert len(remove) == 2
    assert "172" not in client.get(remove[0]).url.query.decode() and seen(client, history='[["50",null]]').told == [
        "50"
    ]


def test_a_user_is_the_start_of_a_history_of_ones_own(client):
    page = seen(client, user=1)
    edit = next(unescape(link) for link in re.findall(r'href="(/\?history[^"]*)"', page.html) if "50" in link)
    own = client.get(edit)
    assert own.status_code == 200 and "A history of your own" in own.text and "liked later" not in own.text
    assert client.get(edit).text.count("Remove") >= 3


def test_some_user_is_chosen(client):
    chosen = {client.get("/any", params={"top": 3}).headers["location"] for _ in range(40)}
    assert {re.search(r"user=(\d+)", one)[1] for one in chosen} == {"1", "2"}
    assert all("top=3" in one for one in chosen)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/?user=3", 404),
        ("/?history=no", 422),
        ("/?history=[[5]]", 422),
        ('/?history=[["\\ud800",5]]', 422),
        (f'/?history=[{"9" * 5000},["a",5]]', 422),
        (f'/?history=[{"9" * 30},["a",5]]', 422),
        (f'/?history=[["{"a" * 150}"]]', 422),
        (f"/?history=[{','.join(['[%22a%22,5]'] * 2000)}]", 422),
        ("/add?history=[]&item=none", 404),
        ("/nothing", 404),
    ],
)
def test_what_is_not_there_or_no_history_is_refused(client, path, status):
    answer = client.get(path)
    assert answer.status_code == status
    assert "Traceback" not in answer.text and "<h1>" in answer.text


def test_a_history_longer_than_an_address_loses_its_beginning():
    events = [(f"item {n}", 5.0) for n in range(2000)]
    kept = history.read(_now(events))
    assert kept == events[-len(kept) :] and len(history.write(kept)) <= LONGEST < len(history.write(events))
    assert len(kept) > 300


def test_with_a_team_only_its_people_look(shelf, workdir):
    key = new_key()
    person = {"name": "Gus", "email": "gus@example.org", "roles": ["ops"], "key": hash_key(key)}
    (workdir / "team.yaml").write_text(yaml.safe_dump({"people": [person]}))
    client = made(shelf)
    assert client.get("/").headers["location"] == "/login"
    assert client.get("/add?history=[]&item=50").headers["location"] == "/login"
    assert sign_in(client, key).headers["location"] == "/"
    assert seen(client).told


def test_other_machines_and_other_sites_see_nothing(client):
    assert client.get("/", headers={"Host": "elsewhere.example"}).status_code == 403
    assert "default-src 'none'" in client.get("/").headers["content-security-policy"]


def test_ratings_are_those_of_the_scale(shelf):
    assert shelf.ratings == [5, 4, 3, 2, 1]
    assert _scale({"scale": [0, 100]}, shelf.answering) == [100, 0]
    assert _scale({}, shelf.answering) == [4, 3, 2]


def test_a_release_of_another_kind_is_refused(tmp_path, workdir):
    other = films.bundle(tmp_path / "other", kind="classify")
    with pytest.raises(SettingsError, match=r"kind classify; this page is for lines of kind rank"):
        Shelf(other)
    with pytest.raises(TidegateError, match="kind classify"):
        serve("films", str(other))


def test_settings_have_defaults(workdir):
    assert load_recommend().port == 8093
    (workdir / "params.yaml").write_text("lines: {films: {}}\nrecommend: {prot: 1}\n")
    with pytest.raises(SettingsError, match="did you mean 'port'"):
        load_recommend()
