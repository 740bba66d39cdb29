"""Who may say what in a dialogue, what is kept of it, and what becomes of it when the service is silent."""

import re
from html import unescape
from types import SimpleNamespace

import chatting
import pytest
import yaml
from chatting import HERE, SCRIPT
from ops_page import field, send, sign_in
from starlette.testclient import TestClient

from flows.chat.app import create_app
from flows.chat.client import Client
from flows.chat.desk import Desk
from flows.chat_settings import ChatSettings
from serving.security import Keys
from tasks.core.errors import SettingsError
from tasks.dialogue import store

COOKIE = "tidegate_chat_dialogue_support"


@pytest.fixture
def service():
    with chatting.service() as found:
        yield found


@pytest.fixture
def site(workdir, service):
    """The page over a project; `customer()` and `staff(name)` are clients with cookies of their own."""
    keys = chatting.project(workdir)
    with store.opened() as engine:
        kept = store.Store(engine, "support")

        def made(**settings):
            client = Client(lambda: service.url, "support", 5, "tg_chat")
            return create_app(Desk("support", ChatSettings(**settings), Keys(), kept, client))

        def customer(**settings):
            return TestClient(made(**settings) if settings else app, base_url=HERE, follow_redirects=False)

        def staff(name="Gus"):
            client = TestClient(app, base_url=HERE, follow_redirects=False)
            assert sign_in(client, keys[name]).headers["location"] == "/staff"
            return client

        app = made()
        yield SimpleNamespace(customer=customer, staff=staff, store=kept, engine=engine)


def press(client, action, path="/", **more):
    """Send a form of a page; the page that comes of it."""
    page = client.get(path).text
    form = re.search(rf'action="{action}"[^>]*>(.*?)</form>', page, re.S)[1]
    hidden = {n: unescape(v) for n, v in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form)}
    answer = send(client, action, **{**hidden, **more})
    assert answer.status_code == 303, answer.text
    return client.get(answer.headers["location"]).text


def events(site):
    (one,) = site.store.open(("service", "waiting", "agent", "closed"))
    return [(event.what, event.text) for event in site.store.events(one.id)], one


def test_a_question_is_answered_rated_and_the_service_is_told(site, service):
    client = site.customer()
    page = press(client, "/say", text="Where is my parcel?")
    assert "About Where is my parcel?" in page and "Did this help?" in page
    page = press(client, "/rate", helpful="yes")
    assert "Did this help?" not in page and "Helped" in page
    kept, _ = events(site)
    assert kept == [("said", "Where is my parcel?"), ("answered", "About Where is my parcel?"), ("rated", "yes"),
                    ("told", "")]  # fmt: skip
    (asked, content, key), (told, feedback, _) = service.asked
    assert asked == "/v1/products/support/answer" and content == {"text": "Where is my parcel?"}
    assert key == "Bearer tg_chat" and told == "/v1/lines/faq/feedback"
    request = site.store.events(events(site)[1].id)[0].id
    assert feedback == {"request_id": request, "labels": ["About Where is my parcel?"]}
    assert "About Where" in client.get("/").text, "the dialogue is there after a reload"
    assert "About Where" not in site.customer().get("/").text


def test_a_no_is_kept_and_told_to_nobody(site, service):
    client = site.customer()
    press(client, "/say", text="Why?")
    assert "Did not help" in press(client, "/rate", helpful="no")
    assert [path for path, _, _ in service.asked] == ["/v1/products/support/answer"]


def test_what_the_service_could_not_be_told_is_told_with_the_next(site, service):
    client = site.customer()
    press(client, "/say", text="One?")
    service.broken = 503
    press(client, "/rate", helpful="yes")
    service.broken = 0
    press(client, "/say", text="Two?")
    page = client.get("/").text
    form = re.findall(r'name="answer" value="([^"]*)"', page)
    press(client, "/rate", helpful="yes", answer=form[-1])
    told = [content["labels"] for path, content, _ in service.asked if path.endswith("feedback")]
    assert told == [["About One?"], ["About One?"], ["About Two?"]]


@pytest.mark.parametrize(
    ("why", "said"),
    [("unsure", "not sure"), ("intent", "for a person"), ("out_of_scope", "not know"), ("no_release", "not available")],
)
def test_what_the_service_is_not_sure_of_goes_to_people(site, why, said):
    page = press(site.customer(), "/say", text=f"I am {why}")
    assert said in page and "A person will answer here" in page and "Another answer" not in page
    _, stands = events(site)
    assert stands.state == "waiting"
    inside = site.staff().get(f"/staff/{stands.id}").text
    assert f"I am {why}" in inside and ("Another answer" in inside) == (why != "no_release")


@pytest.mark.parametrize("code", [401, 404, 429, 500, 503])
def test_a_silent_service_is_told_and_nothing_is_lost(site, service, code):
    service.broken = code
    page = press(site.customer(), "/say", text="Hello?")
    assert "do not work at the moment" in page and "Hello?" in page
    kept, stands = events(site)
    assert (kept, stands.state) == ([("said", "Hello?"), ("handed_over", "")], "waiting")


def test_a_service_that_is_not_there(site, service):
    service.shutdown()
    service.server_close()
    assert "do not work at the moment" in press(site.customer(), "/say", text="Hello?")


def test_people_take_over_reply_hand_back_and_end(site, service):
    client, gus, hana = site.customer(), site.staff(), site.staff("Hana")
    assert "You asked for a person" in press(client, "/human")
    press(client, "/say", text="My card was stolen")
    assert not service.asked, "people answer now"
    (one,) = site.store.open()
    path = f"/staff/{one.id}"
    assert "My card was stolen" in gus.get("/staff").text
    page = press(gus, f"{path}/take", path)
    assert f'action="{path}/reply"' in page
    assert f'action="{path}/reply"' not in hana.get(path).text and "Take over from Gus" in hana.get(path).text
    csrf = field(hana.get(path).text, "csrf")
    assert send(hana, f"{path}/reply", csrf=csrf, event="0" * 16, text="No").status_code == 409
    page = press(gus, f"{path}/reply", path, text="I block it now. Call 020 7946 0958")
    assert "I block it now. Call [PHONE]" in page
    page = client.get("/").text
    assert "I block it now" in page and "Gus is answering" in page
    press(gus, f"{path}/back", path)
    assert "About And now?" in press(client, "/say", text="And now?")
    press(client, "/human")
    press(hana, f"{path}/take", path)
    press(hana, f"{path}/close", path)
    assert "has ended" in client.get("/").text
    assert "My card" not in press(client, "/say", text="Something new"), "a new dialogue begins"
    assert site.store.dialogue(one.id).state == "closed"


def test_of_two_who_take_over_at_once_the_last_has_it_and_the_other_is_told(site):
    client, gus, hana = site.customer(), site.staff(), site.staff("Hana")
    press(client, "/human")
    (one,) = site.store.open()
    path = f"/staff/{one.id}"
    forms = {who: field(who.get(path).text, "csrf") for who in (gus, hana)}
    for who in (gus, hana):
        assert send(who, f"{path}/take", csrf=forms[who]).status_code == 303
    assert site.store.dialogue(one.id).agent == "Hana"
    assert send(gus, f"{path}/reply", csrf=forms[gus], event="1" * 16, text="Hi").status_code == 409


def test_only_agents_get_in(site):
    press(site.customer(), "/human")
    (one,) = site.store.open()
    stranger, anna = site.customer(), site.staff("Anna")
    for path in ("/staff", "/staff/waiting", f"/staff/{one.id}", f"/staff/{one.id}/talk"):
        assert stranger.get(path).headers["location"] == "/login"
        assert anna.get(path).status_code == 403
    assert send(stranger, f"/staff/{one.id}/take").status_code == 303
    gus = site.staff()
    assert gus.get("/staff/" + "0" * 32).status_code == 404
    assert send(gus, f"/staff/{one.id}/take", csrf="x").status_code == 403


def test_texts_are_masked_before_they_are_kept_and_shown_as_text(site, workdir):
    client = site.customer()
    press(client, "/say", text="I am jane@example.org, <b>card</b> 4111 1111 1111 1111")
    kept, one = events(site)
    assert kept[0] == ("said", "I am [EMAIL], card [CARD]")
    params = yaml.safe_load((workdir / "params.yaml").read_text())
    params["lines"]["faq"]["text"] = {"html": False}
    (workdir / "params.yaml").write_text(yaml.safe_dump(params))
    page = press(client, "/say", text=SCRIPT)
    assert "<img src=x" not in page and "<script>alert" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    press(client, "/human")
    inside = site.staff().get(f"/staff/{one.id}").text
    assert "<img src=x" not in inside and "&lt;script&gt;alert(2)" in inside
    assert b"4111" not in store.file().read_bytes() and b"jane@" not in store.file().read_bytes()


def test_lines_are_shown_as_they_were_written_and_the_service_reads_one(site, service):
    page = press(site.customer(), "/say", text="Hello,\r\n\r\nwhere is it?\r\n020 7946 0958")
    assert "<p>Hello,\n\nwhere is it?\n[PHONE]</p>" in page
    assert service.asked[0][1] == {"text": "Hello, where is it? [PHONE]"}
    client = site.customer()
    press(client, "/human")
    (one,) = site.store.open()
    gus, path = site.staff(), f"/staff/{one.id}"
    press(gus, f"{path}/take", path)
    assert "<p>First this,\nthen that.</p>" in press(gus, f"{path}/reply", path, text="First this,\r\nthen that.")


def test_bad_input_changes_nothing(site, service):
    client = site.customer(characters=50)
    sent = {"csrf": field(client.get("/").text, "csrf"), "event": "0" * 16}
    for text, note in (("", "empty"), (" \n", "empty"), ("x" * 51, "long")):
        assert send(client, "/say", **sent, text=text).headers["location"] == f"/?note={note}"
        assert 'role="alert"' in client.get(f"/?note={note}").text
    assert send(client, "/say", **sent, text="x" * 2**20).status_code == 413
    assert send(client, "/say", **{**sent, "event": "<b>"}, text="a").status_code == 422
    assert send(client, "/say", **{**sent, "csrf": "x"}, text="a").status_code == 403
    assert (
        client.post("/say", data={**sent, "text": "a"}, headers={"Origin": "https://evil.example"}).status_code == 403
    )
    assert send(client, "/rate", **sent, answer="x", helpful="yes").status_code == 409
    assert send(client, "/rate", **sent, answer="x", helpful="perhaps").status_code == 422
    assert not service.asked and not site.store.open(("service", "waiting", "agent", "closed"))


def test_a_cookie_that_we_did_not_sign_is_nobodys(site):
    client = site.customer()
    press(client, "/say", text="Mine")
    name, _, signature = client.cookies[COOKIE].partition(".")
    for forged in (f"{name}.{'0' * 32}", name, f"{'0' * 32}.{signature}", f"{name}.é"):
        thief = site.customer()
        assert "Mine" not in thief.get("/", headers={"Cookie": f"{COOKIE}={forged}".encode("latin-1")}).text


def test_a_form_sent_twice_is_one_message_and_too_many_are_refused(site, service):
    client = site.customer(messages_per_minute=3)
    sent = {"csrf": field(client.get("/").text, "csrf"), "event": "0" * 16, "text": "Once"}
    codes = [send(client, "/say", **sent).status_code for _ in range(4)]
    assert codes == [303, 303, 303, 429]
    assert [what for what, _ in events(site)[0]] == ["said", "answered"] and len(service.asked) == 1


def test_news_come_as_a_part_of_the_page_and_only_when_there_are_any(site):
    client = site.customer()
    press(client, "/say", text="Hello")
    found = client.get("/talk")
    assert found.text.lstrip().startswith('<div id="talk"') and "About Hello" in found.text
    seen = re.search(r'data-seen="(\d+)"', found.text)[1]
    assert client.get(f"/talk?seen={seen}").status_code == 204
    press(client, "/human")
    assert client.get(f"/talk?seen={seen}").status_code == 200


def test_who_ends_it_begins_anew(site):
    client = site.customer()
    press(client, "/say", text="Private")
    assert "Private" not in press(client, "/end")
    assert events(site)[1].state == "closed"


def test_the_words_are_there_in_chinese(site):
    client = site.customer()
    client.headers["accept-language"] = "zh"
    assert "请提问" in client.get("/").text
    assert "自动回答" in press(client, "/say", text="你好")


def test_a_product_must_be_there(workdir):
    from flows.chat.__main__ import serve

    chatting.project(workdir)
    with pytest.raises(SettingsError, match="no product 'suport' of this kind"):
        serve("suport")
    with pytest.raises(SettingsError, match=r"chat\.service"):
        serve("support", service="ftp://x")
