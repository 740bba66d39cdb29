"""The labelling page in a real browser: by keys, on a phone, offline, closed in mid-answer, attacked by its texts."""

import re
import signal
import subprocess
import sys
from types import SimpleNamespace

import annotated
import pytest
from annotated import SCRIPT, TEXTS
from services import PATIENCE, until

from tasks.annotation.events import Event, person_id
from tasks.annotation.journal import Journal
from tasks.core.line import Line
from tasks.team import load_team

pytestmark = pytest.mark.xdist_group("annotate")  # one server, one browser
LINES = [f"films{n}" for n in range(20)]
LOOK = 350  # milliseconds; sooner no press is meant for the text that is there
WAIT = 1000 * PATIENCE


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """`python -m flows.annotate` over a project with queues; its address, folder and keys."""
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        keys = annotated.project(folder, more=LINES, Anna={"capacity_per_week": 50})
        written = folder / "annotate.log"
        with written.open("w") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "flows.annotate"], stdout=stream, stderr=subprocess.STDOUT
            )
    address = until(lambda: re.search(r"listening on (http://\S+)", written.read_text()))[1]
    yield SimpleNamespace(address=address, folder=folder, keys=keys, cookies={}, lines=iter(LINES))
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
    assert not [key for key in keys.values() if key in written.read_text()]


@pytest.fixture
def line(site, monkeypatch):
    """A line of one's own that asks two people of every text; the folder of the site is the working directory."""
    monkeypatch.chdir(site.folder)
    name = next(site.lines)
    return SimpleNamespace(journal=annotated.queue(name, overlap=2), path=f"/lines/{name}")


@pytest.fixture
def visit(browser, site):
    """Open a page of the site as somebody; what it asks for and says in the console is kept."""
    contexts = []

    def open_page(name, path, width=1280, language="en-US", scheme="light", **options):
        context = browser.new_context(
            viewport={"width": width, "height": 800}, locale=language, color_scheme=scheme, reduced_motion="reduce",
            storage_state=site.cookies.get(name), **options,
        )  # fmt: skip
        contexts.append(context)
        page = context.new_page()
        seen = SimpleNamespace(page=page, context=context, requests=[], said=[])
        page.on("request", lambda request: seen.requests.append(request.url))
        page.on("console", lambda message: seen.said.append(message.text))
        page.on("pageerror", lambda error: seen.said.append(str(error)))
        page.on("dialog", lambda dialog: (seen.said.append(dialog.message), dialog.dismiss()))
        page.goto(site.address + path)
        if name not in site.cookies:
            page.locator("input[name=who]").fill(site.keys[name])
            page.keyboard.press("Enter")
            page.wait_for_url(lambda url: "/login" not in url)
            site.cookies[name] = context.storage_state()
            page.goto(site.address + path)
        return seen

    yield open_page
    for context in contexts:
        context.close()


def showing(page, text):
    page.locator("#text", has_text=text).wait_for(timeout=WAIT)
    page.wait_for_timeout(LOOK)


def press(page, key, then):
    """Press a key at a text; the next one is there."""
    page.keyboard.press(key)
    showing(page, then)


def said(journal):
    return [(event.item, event.kind, event.label) for event in journal.events()]


def swallowed(route):
    """The server has it, and the browser never learns that."""
    route.fetch(max_redirects=0)
    route.abort()


def contest(journal):
    """A disagreement about the first text."""
    team = load_team()
    for name, label in (("Anna", "positive"), ("Bea", "negative")):
        journal.append(Event(item="t0", person=person_id(name, team), kind="answer", label=label))


def test_texts_are_labelled_by_keys(visit, line, site):
    seen = visit("Anna", line.path)
    page = seen.page
    showing(page, TEXTS[0])
    press(page, "2", TEXTS[1])
    assert "Saved: positive" in page.locator("#status").inner_text()
    assert page.evaluate("document.activeElement.id") == "text"
    page.keyboard.press("c")
    page.keyboard.type("Thin, so 1 it is")
    page.keyboard.press("Escape")
    press(page, "1", SCRIPT)
    press(page, "s", TEXTS[3])
    page.keyboard.press("f")
    page.get_by_role("heading", name="All done").wait_for()
    page.wait_for_timeout(LOOK)
    press(page, "u", TEXTS[3])
    page.keyboard.press("1")
    page.get_by_role("heading", name="All done").wait_for()
    kinds = [("t0", "answer", "positive"), ("t1", "answer", "negative"), ("t2", "skip", None), ("t3", "flag", None)]
    assert said(line.journal) == [*kinds, ("t3", "undo", None), ("t3", "answer", "negative")]
    events = line.journal.events()
    assert events[1].comment == "Thin, so 1 it is" and LOOK / 1000 <= events[1].seconds < PATIENCE
    assert "3 / 50" in page.locator(".progress").inner_text()
    assert seen.said == []
    assert [url for url in seen.requests if not url.startswith((site.address, "data:"))] == []


def test_a_press_that_comes_twice_is_one_answer(visit, line):
    page = visit("Anna", line.path).page
    showing(page, TEXTS[0])
    page.locator("#labels button").first.dblclick()
    showing(page, TEXTS[1])
    page.evaluate(
        "for (const n of [1, 2]) document.dispatchEvent(new KeyboardEvent('keydown', {key: '1', repeat: true}))"
    )
    assert said(line.journal) == [("t0", "answer", "negative")]


def test_an_answer_without_a_server_stays_and_arrives_once(visit, line):
    seen = visit("Anna", line.path)
    page, context = seen.page, seen.context
    showing(page, TEXTS[0])
    context.set_offline(True)
    page.keyboard.press("2")
    page.locator("#unsent").wait_for()
    assert "Not sent yet: positive" in page.locator("#unsent").inner_text()
    assert page.locator("#text").inner_text() == TEXTS[0]
    assert page.locator("#labels button:disabled").count() == 2
    assert said(line.journal) == []
    context.set_offline(False)
    showing(page, TEXTS[1])
    assert page.locator("#unsent").is_hidden()
    assert said(line.journal) == [("t0", "answer", "positive")]


def test_a_browser_closed_in_mid_answer_loses_and_doubles_nothing(visit, line, site):
    seen = visit("Anna", line.path)
    context = seen.context
    showing(seen.page, TEXTS[0])
    context.set_offline(True)  # closed before it could be sent
    seen.page.keyboard.press("2")
    seen.page.locator("#unsent").wait_for()
    seen.page.close()
    assert said(line.journal) == []
    context.set_offline(False)
    page = context.new_page()
    page.goto(site.address + line.path)
    showing(page, TEXTS[1])
    assert said(line.journal) == [("t0", "answer", "positive")]

    page.route("**/say", swallowed)  # closed before the server's answer came
    page.keyboard.press("1")
    page.locator("#unsent").wait_for()
    assert len(said(line.journal)) == 2
    page.close()
    page = context.new_page()
    page.goto(site.address + line.path)
    showing(page, SCRIPT)
    assert said(line.journal) == [("t0", "answer", "positive"), ("t1", "answer", "negative")]
    assert page.evaluate("localStorage.length") == 0


def test_what_the_server_refuses_is_said(visit, line):
    page = visit("Anna", line.path).page
    showing(page, TEXTS[0])
    page.evaluate("document.querySelector('#labels button').value = 'a label of before'")
    page.keyboard.press("1")
    page.locator("#unsent").wait_for()
    assert "Not accepted: negative" in page.locator("#unsent").inner_text()
    showing(page, TEXTS[0])
    press(page, "1", TEXTS[1])
    assert said(line.journal) == [("t0", "answer", "negative")]


def test_a_session_that_ended_asks_again_and_keeps_the_answer(visit, line, site):
    seen = visit("Bea", line.path)
    page = seen.page
    showing(page, TEXTS[0])
    seen.context.clear_cookies()
    page.keyboard.press("2")
    page.locator("input[name=who]").fill(site.keys["Bea"])
    page.keyboard.press("Enter")
    showing(page, TEXTS[1])
    site.cookies.pop("Bea")
    assert said(line.journal) == [("t0", "answer", "positive")]


def test_contested_texts_are_decided_by_keys(visit, line):
    contest(line.journal)
    annotated.doubtful(line.journal)
    seen = visit("Ada", line.path)
    page = seen.page
    showing(page, TEXTS[0])
    assert page.locator(".words tr").all_inner_texts()[0].split() == ["Anna", "positive", "just", "now"]
    page.keyboard.press("s")
    showing(page, "Not bad at all.")
    assert "93.0%" in page.locator(".opinions").inner_text()
    press(page, "2", TEXTS[0])
    press(page, "u", "Not bad at all.")
    press(page, "2", TEXTS[0])
    page.keyboard.press("1")
    page.get_by_role("heading", name="Nothing to decide").wait_for()
    decided = {item: one.decision.label for item, one in line.journal.state().standings.items() if one.decision}
    assert decided == {"suspect-row7": "positive", "t0": "negative"}
    assert seen.said == []


def test_many_labels_are_found_by_typing(visit, line):
    annotated.queue("topics", ["How high is the sky?", "Which chord is it?"])
    seen = visit("Anna", "/lines/topics")
    page = seen.page
    showing(page, "How high")
    assert page.evaluate("document.activeElement.id") == "filter"
    page.keyboard.type("ear")
    assert page.locator("#labels button:visible").all_inner_texts() == ["1\ntopic earth"]
    page.keyboard.press("Enter")
    showing(page, "Which chord")
    page.keyboard.type("a")
    wanted = page.locator("#labels button:visible").nth(3).get_attribute("value")
    page.keyboard.press("4")
    page.get_by_role("heading", name="All done").wait_for()
    page.wait_for_timeout(LOOK)
    press(page, "u", "Which chord")
    page.keyboard.press("Escape")
    page.keyboard.press("f")
    page.get_by_role("heading", name="All done").wait_for()
    events = Journal.of(Line("topics")).events()
    assert [event.label for event in events] == ["topic earth", wanted, None, None] and events[-1].kind == "flag"
    assert seen.said == []


def test_chinese_on_a_phone(visit, line):
    page = visit("Anna", line.path, width=390, language="zh-CN").page
    assert page.evaluate("document.documentElement.lang") == "zh-Hans"
    assert "今天" in page.locator(".progress").inner_text()
    showing(page, TEXTS[0])
    page.get_by_role("button", name="跳过").click()
    showing(page, TEXTS[1])
    assert "已保存" in page.locator("#status").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_page_fits_and_can_be_read(width, scheme, visit, line):
    contest(line.journal)
    line.journal.append(Event(item="t2", person=person_id("Bea", load_team()), kind="flag", comment=SCRIPT))
    for path in ("/", line.path, f"{line.path}/decide", "/lines/bare"):
        seen = visit("Max", path, width, scheme=scheme)
        assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert seen.page.locator("h1:not(.guide-text h1)").count() == 1
        for button in seen.page.locator("main :is(button, a.button, summary):visible").all():
            assert button.inner_text().strip() and button.bounding_box()["height"] >= 24
        assert seen.said == []


def test_without_scripts_every_button_still_works(visit, line):
    page = visit("Max", line.path, java_script_enabled=False).page
    page.get_by_role("button", name="positive").click()
    assert page.locator("#text").inner_text() == TEXTS[1]
    page.get_by_role("button", name="Undo").click()
    assert page.locator("#text").inner_text() == TEXTS[0]
    page.get_by_role("button", name="Flag").click()
    page.get_by_role("link", name="Decide").click()
    page.get_by_role("button", name="negative").click()
    assert [kind for _, kind, _ in said(line.journal)] == ["answer", "undo", "flag", "decide"]
