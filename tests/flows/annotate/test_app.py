"""Who sees which text, and what comes of each press of a button."""

import re
from html import unescape

import annotated
import pytest
import yaml
from annotated import HERE, SCRIPT, TEXTS
from commands import tidegate
from ops_page import send, sign_in
from services import until
from starlette.testclient import TestClient

from flows.annotate.app import create_app
from flows.annotate.desk import Desk
from flows.annotate_settings import AnnotatePageSettings
from serving.security import Keys
from tasks.annotation.events import Event, Item, person_id
from tasks.annotation.journal import Journal
from tasks.core.line import Line
from tasks.team import hash_key, load_team

PATH = "/lines/films"


def text(page):
    found = re.search(r'id="text"[^>]*>([^<]*)<', page)
    return unescape(found[1]) if found else None


def fields(page, deed="say"):
    """The hidden fields of a form of the page."""
    form = re.search(rf'data-deed="{deed}">(.*?)</form>', page, re.S)[1]
    hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form)
    return {name: unescape(value) for name, value in hidden}


def press(client, page, deed="say", path=PATH, **more):
    """Press a button of a page; the page that comes of it."""
    answer = send(client, f"{path}/{deed}", **{**fields(page, deed), **more})
    assert answer.status_code == 303, answer.text
    return client.get(answer.headers["location"]).text


def said(name, kind, label=None, item="t0"):
    return Event(item=item, person=person_id(name, load_team()), kind=kind, label=label)


def labels(journal, item="t0"):
    return [event.label for event in journal.state().standings[item].answers.values()]


def test_strangers_see_the_door_and_others_by_their_role(enter):
    annotated.queue()
    stranger = enter()
    for path in ("/", PATH, f"{PATH}/decide"):
        assert stranger.get(path).headers["location"].startswith("/login")
    assert stranger.get("/health").text == "ok"
    anna, ada, mara = enter("Anna"), enter("Ada"), enter("Mara")
    assert text(anna.get(PATH).text) == TEXTS[0]
    assert anna.get(f"{PATH}/decide").status_code == 403
    assert ada.get(PATH).headers["location"] == f"{PATH}/decide"
    assert ada.get(f"{PATH}/decide").status_code == 200
    assert mara.get("/").status_code == 403 and "none of the roles annotator, adjudicator" in mara.get("/").text
    assert mara.get(PATH).headers["location"] == "/"
    token = re.search(r'name="csrf" value="([^"]+)"', mara.get("/").text)[1]
    sent = {**fields(anna.get(PATH).text), "csrf": token}
    assert send(mara, f"{PATH}/say", **sent, label="positive").status_code == 403
    assert send(mara, f"{PATH}/decide", **sent, label="positive").status_code == 403
    assert Journal.of(Line("films")).events() == []


def test_an_answer_is_kept_with_who_what_and_how_long(enter):
    journal = annotated.queue()
    client = enter("Anna")
    page = press(
        client, client.get(PATH).text, label="positive", seconds="0.0", comment=" Warm.\r\nFunny. Ask bea@example.org. "
    )
    assert text(page) == TEXTS[1]
    (event,) = journal.events()
    assert (event.item, event.kind, event.label, event.comment) == (
        "t0",
        "answer",
        "positive",
        "Warm. Funny. Ask [EMAIL].",
    )
    assert event.person == person_id("Anna", load_team()) and event.seconds == 0


@pytest.mark.parametrize(("sent", "kept"), [("9999", 0.0), ("nan", None), ("-1", None), ("soon", None), ("", None)])
def test_how_long_is_bounded_by_what_the_server_saw(sent, kept, enter):
    journal = annotated.queue()
    client = enter("Anna")
    press(client, client.get(PATH).text, label="positive", seconds=sent)
    seconds = journal.events()[0].seconds
    assert seconds is None if kept is None else 0 <= seconds < 60


def test_a_form_sent_twice_is_one_answer(enter):
    journal = annotated.queue()
    client = enter("Anna")
    sent = fields(client.get(PATH).text)
    for label in ("positive", "positive", "negative"):
        assert send(client, f"{PATH}/say", **sent, label=label).status_code == 303
    assert [event.label for event in journal.events()] == ["positive"]
    again = enter("Anna")  # closed in mid-answer, opened anew
    token = fields(again.get(PATH).text)["csrf"]
    assert send(again, f"{PATH}/say", **{**sent, "csrf": token}, label="positive").status_code == 303
    assert len(journal.events()) == 1


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Origin": "null"},
                                     {"sec-fetch-site": "cross-site"}])  # fmt: skip
def test_a_form_of_another_site_changes_nothing(headers, enter):
    journal = annotated.queue()
    client = enter("Anna")
    sent = {**fields(client.get(PATH).text), "label": "positive"}
    assert client.post(f"{PATH}/say", data=sent, headers=headers).status_code == 403
    assert send(client, f"{PATH}/say", **{**sent, "csrf": "x"}).status_code == 403
    del sent["csrf"]
    assert send(client, f"{PATH}/say", **sent).status_code == 403
    assert journal.events() == []


def test_strange_forms_are_refused(enter):
    journal = annotated.queue()
    client = enter("Max")
    sent = fields(client.get(PATH).text)
    for more in ({"label": "no such"}, {"kind": "decide"}, {"kind": "undo"}, {}, {"kind": "comment"},
                 {"label": "positive", "event": "1"}, {"label": "positive", "comment": "x" * 4001},
                 {"kind": "answer"}, {"label": "positive", "undoes": "x"}):  # fmt: skip
        assert send(client, f"{PATH}/say", **{**sent, **more}).status_code == 422, more
    assert send(client, f"{PATH}/decide", **sent, kind="skip").status_code == 422
    assert send(client, f"{PATH}/undo", **sent, kind="undo").status_code == 422
    assert send(client, f"{PATH}/say", **sent, label="positive", comment="x" * 40_000).status_code == 413
    gone = send(client, f"{PATH}/say", **{**sent, "item": "gone"}, label="positive")
    assert "no longer in the queue" in client.get(gone.headers["location"]).text
    send(client, f"{PATH}/undo", **{**sent, "item": "gone"}, undoes="x")
    assert send(client, "/lines/nothing/say", **sent, label="positive").status_code == 404
    assert journal.events() == []
    press(client, client.get(PATH).text, label="positive", comment="好" * 2000)
    assert len(journal.events()[0].comment) == 2000


def test_what_anybody_wrote_is_escaped(enter):
    journal = annotated.queue(texts=[f"{SCRIPT} {n}" for n in range(2)], language='e" onload="x', suggested="positive")
    journal.append(said("Bea", "flag", item="t1").model_copy(update={"comment": SCRIPT}))
    client = enter("Max")
    first = client.get(PATH).text
    shown = [first, press(client, first, label="positive"), client.get(f"{PATH}/decide").text]
    for page in shown:
        assert "<script>alert" not in page and "<img" not in page and 'onload="x' not in page
        assert "&lt;script&gt;alert(1)" in page
    policy = client.get(PATH).headers["content-security-policy"]
    assert "script-src 'self'; style-src 'self'; " in policy and "unsafe" not in policy
    assert client.get(f"{PATH}?note={SCRIPT}&again={SCRIPT}").text.count("alert(1)") == shown[1].count("alert(1)")


def test_no_suggestion_before_the_answer(enter):
    annotated.queue(suggested="positive", probability=0.97, why="uncertain")
    page = enter("Anna").get(PATH).text
    assert "0.97" not in page and "97.0%" not in page and "uncertain" not in page
    assert page.count("positive</span>") == 1 and page.count('value="positive"') == 1


def test_skip_flag_and_undo(enter):
    journal = annotated.queue()
    client = enter("Anna")
    page = press(client, client.get(PATH).text, kind="skip")
    page = press(client, page, kind="flag", comment="Which film?")
    assert text(page) == TEXTS[2] and "flagged</b>" in page
    page = press(client, page, "undo")
    assert text(page) == TEXTS[1] and "skipped</b>" in page  # the flagged one again
    assert text(client.get(PATH).text) == TEXTS[1]
    page = press(client, press(client, page, label="negative"), "undo")
    assert text(page) == TEXTS[1]
    page = press(client, press(client, page, label="positive"), kind="skip")
    assert labels(journal, "t1") == ["positive"]
    assert [event.kind for event in journal.events()] == ["skip", "flag", "undo", "answer", "undo", "answer", "skip"]


def test_an_undo_sent_twice_takes_back_one_answer(enter):
    journal = annotated.queue()
    client = enter("Anna")
    page = press(client, press(client, client.get(PATH).text, label="positive"), label="negative")
    sent = fields(page, "undo")
    for _ in range(2):
        send(client, f"{PATH}/undo", **sent)
    assert (labels(journal, "t0"), labels(journal, "t1")) == (["positive"], [])


def test_nobody_undoes_for_others(enter):
    journal = annotated.queue(overlap=2)
    anna, bea = enter("Anna"), enter("Bea")
    press(anna, anna.get(PATH).text, label="positive")
    page = press(bea, bea.get(PATH).text, label="negative")
    send(bea, f"{PATH}/undo", **{**fields(page, "undo"), "undoes": journal.events()[0].id})
    assert labels(journal) == ["positive", "negative"]


def test_two_at_once_are_both_kept_and_one_text_is_not_shown_to_two(enter):
    journal = annotated.queue()
    anna, bea = enter("Anna"), enter("Bea")
    mine, theirs = anna.get(PATH).text, bea.get(PATH).text
    assert (text(mine), text(theirs)) == TEXTS[:2]  # overlap 1: the first is held for Anna
    press(anna, mine, label="positive")
    sent = {**fields(theirs), "item": "t0"}  # as after a hold that ran out
    assert send(bea, f"{PATH}/say", **sent, label="negative").status_code == 303
    assert labels(journal) == ["positive", "negative"]


def test_a_text_that_was_decided_meanwhile_is_said_and_the_next_one_shown(enter):
    journal = annotated.queue()
    client = enter("Anna")
    page = client.get(PATH).text
    journal.append(said("Ada", "decide", "negative"))
    page = press(client, page, label="positive")
    assert "was decided meanwhile" in page and text(page) == TEXTS[1]
    assert journal.state().standings["t0"].decision.label == "negative" and labels(journal) == ["positive"]


def test_contested_texts_are_decided_with_names_comments_and_the_models_opinion(enter):
    journal = annotated.queue(overlap=2)
    annotated.doubtful(journal)
    journal.append(said("Anna", "answer", "positive"), said("Bea", "answer", "negative"))
    journal.append(said("Anna", "flag", item="t1").model_copy(update={"comment": "Which film?"}))
    client, path = enter("Ada"), f"{PATH}/decide"
    page = client.get(path).text
    assert text(page) == TEXTS[1] and "Anna" in page and "Which film?" in page and "<dd>3</dd>" in page
    page = client.get(f"{path}?after=t1").text
    assert text(page) == TEXTS[0] and all(name in page for name in ("Anna", "Bea", "positive", "negative"))
    page = client.get(f"{path}?after=t0").text
    assert text(page) == "Not bad at all." and "93.0%" in page and "Its label now" in page
    page = press(client, page, "decide", label="positive", comment="Litotes.")
    assert journal.state().standings["suspect-row7"].decision.label == "positive"
    assert text(page) == TEXTS[1] and "Last:" in page
    page = press(client, page, "undo")
    assert text(page) == "Not bad at all."
    for _ in range(3):
        page = press(client, page, "decide", label="negative")
    assert "Nothing to decide" in page
    assert {one.decision.label for one in journal.state().standings.values() if one.decision} == {"negative"}


def test_a_text_that_is_fit_for_no_label_is_discarded_and_taken_back(enter):
    journal = annotated.queue(overlap=2)
    journal.append(said("Anna", "answer", "positive"), said("Bea", "flag"))
    client, path = enter("Max"), f"{PATH}/decide"
    page = client.get(path).text
    assert text(page) == TEXTS[0]
    page = press(client, page, "decide", kind="discard", comment="A test page.")
    standing = journal.state().standings["t0"]
    assert (standing.state, standing.decision.label, standing.decision.comment) == ("discarded", None, "A test page.")
    assert "Nothing to decide" in page and "discarded</b>" in page and "1 discarded" in client.get("/").text
    assert text(client.get(PATH).text) == TEXTS[1]
    page = press(client, page, "undo")
    assert text(page) == TEXTS[0] and journal.state().standings["t0"].state == "flagged"
    assert send(enter("Anna"), f"{PATH}/decide", **fields(page, "decide"), kind="discard").status_code == 403
    sent = fields(client.get(PATH).text)
    assert send(client, f"{PATH}/say", **sent, kind="discard").status_code == 422


def test_two_adjudicators_get_different_texts_and_a_second_decision_is_said(enter):
    journal = annotated.queue()
    journal.append(said("Anna", "flag"), said("Anna", "flag", item="t1"))
    ada, maxim, path = enter("Ada"), enter("Max"), f"{PATH}/decide"
    first, second = ada.get(path).text, maxim.get(path).text
    assert (text(first), text(second)) == TEXTS[:2]
    journal.append(said("Max", "decide", "negative"))
    page = press(ada, first, "decide", label="positive")
    assert "Somebody else decided this text" in page
    page = press(maxim, second, "decide", label="negative")
    assert 'data-deed="undo"' in page
    assert 'data-deed="undo"' not in maxim.get(PATH).text  # a decision is taken back where it was made
    assert journal.state().standings["t0"].decision.label == "positive"


def test_a_week_that_is_full_and_an_empty_queue_are_friendly(keys, enter, workdir):
    annotated.queue(overlap=2)
    team = yaml.safe_load((workdir / "team.yaml").read_text())
    next(one for one in team["people"] if one["name"] == "Anna")["capacity_per_week"] = 1
    (workdir / "team.yaml").write_text(yaml.safe_dump(team))
    client, bea = enter("Anna"), enter("Bea")
    until(lambda: "0 / 1" in client.get(PATH).text or client.get(PATH).status_code != 200)
    if client.get(PATH).status_code != 200:  # who changed in team.yaml signs in again
        sign_in(client, keys["Anna"], "films")
    page = press(client, client.get(PATH).text, label="positive")
    assert "Done for this week" in page and "1 / 1" in page and text(page) is None and "undo" in page
    assert "has no queue" in bea.get("/lines/bare").text
    page = bea.get(PATH).text
    for _ in TEXTS:
        page = press(bea, page, label="positive")
    assert "All done" in page
    home = bea.get("/").text
    assert "tidegate queue bare FILE" in home and "4 texts" in home


def test_others_who_look_at_the_last_texts_are_no_end(enter):
    annotated.queue(texts=TEXTS[:1])
    anna, bea = enter("Anna"), enter("Bea")
    anna.get(PATH)
    assert "Others have the last texts" in bea.get(PATH).text


def test_texts_are_for_those_who_know_their_language(workdir):
    keys = annotated.project(workdir, Anna={"languages": ["zh"]})
    annotated.queue(texts=["English"], language="en").add([Item(id="z", text="中文", rank=9, language="zh")])
    client = TestClient(create_app(Desk(AnnotatePageSettings(), Keys())), base_url=HERE, follow_redirects=False)
    sign_in(client, keys["Anna"], "films")
    assert text(client.get(PATH).text) == "中文"


def test_a_renamed_annotator_stays_one_person(workdir, keys, enter):
    journal = annotated.queue(overlap=2)
    client = enter("Anna")
    press(client, client.get(PATH).text, label="positive")
    (workdir / "team.yaml").write_text((workdir / "team.yaml").read_text().replace("name: Anna", "name: Anna Karlsson"))
    again = TestClient(create_app(Desk(AnnotatePageSettings(), Keys())), base_url=HERE, follow_redirects=False)
    sign_in(again, keys["Anna"], "films")
    page = again.get(PATH).text
    assert "Anna Karlsson" in page and text(page) == TEXTS[1] and "Last:" in page
    assert len({event.person for event in journal.events()}) == 1


def test_guidelines_stand_beside_without_their_markup(enter):
    annotated.queue()
    page = enter("Anna").get(PATH).text
    assert "<strong>positive</strong>: the writer would see it again." in page and "<script>alert" not in page
    assert "guide" not in enter("Anna").get("/lines/topics").text.replace("annotate", "")


def test_chinese_is_spoken_where_it_is_asked_for(enter):
    annotated.queue()
    page = enter("Anna").get(PATH, headers={"accept-language": "zh-CN"}).text
    assert "跳过" in page and "Skip" not in page and 'lang="zh-Hans"' in page


def test_without_a_team_a_name_is_enough_on_this_machine(workdir):
    annotated.project(workdir, team=False)
    journal = annotated.queue()
    client = TestClient(create_app(Desk(AnnotatePageSettings(), Keys())), base_url=HERE, follow_redirects=False)
    assert client.get(PATH).headers["location"].startswith("/login")  # answers need a name
    assert client.get(PATH, headers={"host": "evil.example"}).status_code == 403
    sign_in(client, "Mara", "films")
    press(client, client.get(PATH).text, kind="flag")
    assert "Mara" in client.get(f"{PATH}/decide").text
    assert journal.events()[0].person == person_id("Mara")


def test_other_machines_reach_the_page_only_with_a_team(workdir):
    annotated.project(workdir, team=False)
    done = tidegate("annotate", "--host", "192.0.2.1", "--port", "0")
    assert done.returncode == 2
    assert "The labelling page was to listen on 192.0.2.1" in done.stdout and "team.yaml" in done.stdout


def test_a_key_withdrawn_ends_the_session_and_keeps_the_answers(workdir, enter):
    journal = annotated.queue()
    client = enter("Anna")
    page = press(client, client.get(PATH).text, label="positive")
    bea = {"name": "Bea", "email": "bea@example.org", "roles": ["annotator"], "key": hash_key("x")}
    (workdir / "team.yaml").write_text(yaml.safe_dump({"people": [bea]}))
    until(lambda: client.get(PATH).status_code == 303)
    assert send(client, f"{PATH}/say", **fields(page), label="positive").headers["location"].startswith("/login")
    assert len(journal.events()) == 1
