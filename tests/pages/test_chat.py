"""The chat in a real browser: a customer asks, rates, wants a person; staff take over; texts attack in vain."""

import re
import signal
import subprocess
import sys
from types import SimpleNamespace

import chatting
import pytest
from chatting import SCRIPT
from services import PATIENCE, until

pytestmark = pytest.mark.xdist_group("chat")  # one server, one browser
WAIT = 1000 * PATIENCE


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """`tidegate chat` over a project whose text policy leaves markup as it is; its address, keys and service."""
    folder = tmp_path_factory.mktemp("site")
    keys = chatting.project(folder, text={"html": False}, poll_seconds=0.3, messages_per_minute=1000)
    written = folder / "chat.log"
    with chatting.service() as service:
        with written.open("w") as stream:
            (folder / "dvc.yaml").touch()
            command = [sys.executable, "-m", "flows.cli", "chat", "support", "--service", service.url]
            process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, cwd=folder)
        address = until(lambda: re.search(r"listening on (http://\S+)", written.read_text()))[1]
        yield SimpleNamespace(address=address, keys=keys, service=service, cookies={})
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    assert "Traceback" not in written.read_text()
    assert "team.yaml, but no TIDEGATE_CHAT_KEY" in written.read_text()


@pytest.fixture
def visit(browser, site):
    """Open a page as a customer, or as one of the staff; what the browser says besides is kept."""
    contexts = []

    def open_page(name=None, width=1280, language="en-US", **options):
        context = browser.new_context(
            viewport={"width": width, "height": 800}, locale=language, reduced_motion="reduce",
            storage_state=site.cookies.get(name), **options,
        )  # fmt: skip
        contexts.append(context)
        page = context.new_page()
        said = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        page.goto(site.address + ("/staff" if name else "/"))
        if name and name not in site.cookies:
            page.locator("input[name=who]").fill(site.keys[name])
            page.keyboard.press("Enter")
            page.wait_for_url("**/staff")
            site.cookies[name] = context.storage_state()
        return SimpleNamespace(page=page, said=said)

    yield open_page
    for context in contexts:
        context.close()


def write(page, text):
    page.locator("#text").fill(text)
    page.locator("#text").press("Enter")
    page.locator(".event.mine p", has_text=text).last.wait_for(timeout=WAIT)


def test_a_customer_asks_rates_and_is_helped_by_a_person(visit, site):
    customer, gus = visit(), visit("Gus")
    page, desk = customer.page, gus.page
    write(page, "Where is my parcel?")
    page.get_by_text("About Where is my parcel?").wait_for(timeout=WAIT)
    assert page.evaluate("document.activeElement.id") == "text"
    page.get_by_role("button", name="Yes").click()
    page.get_by_text("Helped", exact=True).wait_for(timeout=WAIT)
    until(lambda: any(path.endswith("/feedback") for path, _, _ in site.service.asked))
    page.get_by_role("button", name="Talk to a person").click()
    page.get_by_text("A person will answer here").wait_for(timeout=WAIT)
    page.locator("#text").fill("half a sentence")
    desk.get_by_role("link", name="Where is my parcel?").click()
    desk.get_by_role("button", name="Take over").click()
    page.get_by_text("Gus is answering").wait_for(timeout=WAIT)
    assert page.locator("#text").input_value() == "half a sentence", "news do not take away what is being written"
    write(desk, "It comes today.")
    page.get_by_text("It comes today.").wait_for(timeout=WAIT)
    page.reload()
    assert page.locator(".event.human p").inner_text() == "It comes today."
    write(page, "Thank you")
    desk.get_by_text("Thank you").wait_for(timeout=WAIT)
    desk.get_by_role("button", name="End the dialogue").click()
    page.get_by_text("This conversation has ended").wait_for(timeout=WAIT)
    assert customer.said == gus.said == []


def test_texts_that_attack_are_shown_as_text(visit):
    customer, gus = visit(), visit("Gus")
    write(customer.page, SCRIPT)
    customer.page.get_by_text("About <img").wait_for(timeout=WAIT)
    customer.page.get_by_role("button", name="Talk to a person").click()
    gus.page.get_by_role("link", name="<img src=x").click()
    gus.page.locator(".event.theirs p").first.wait_for(timeout=WAIT)
    assert gus.page.locator(".event.theirs p").first.inner_text() == SCRIPT
    assert customer.said == gus.said == []


def test_lines_are_seen_as_they_were_written(visit):
    page = visit().page
    field = page.locator("#text")
    field.press_sequentially("first")
    field.press("Shift+Enter")
    field.press_sequentially("second")
    field.press("Enter")
    mine = page.locator(".event.mine p").last
    mine.wait_for(timeout=WAIT)
    assert mine.inner_text() == "first\nsecond"
    page.get_by_text("About first second").wait_for(timeout=WAIT)


def test_what_is_handed_over_and_what_is_not_sent(visit, site):
    page = visit().page
    write(page, "I am unsure")
    page.get_by_text("I am not sure about this").wait_for(timeout=WAIT)
    page.context.set_offline(True)
    page.locator("#text").fill("still here")
    page.locator("#text").press("Enter")
    page.get_by_text("Not sent. Your text is still here").wait_for(timeout=WAIT)
    assert page.locator("#text").input_value() == "still here"
    page.context.set_offline(False)
    page.get_by_role("button", name="Send").click()
    page.locator(".event.mine p", has_text="still here").wait_for(timeout=WAIT)


def test_a_suggested_answer_is_taken_over(visit):
    customer, hana = visit(), visit("Hana")
    write(customer.page, "I am unsure of this one")
    hana.page.get_by_role("link", name="unsure of this one").click()
    hana.page.get_by_role("button", name="Take over").click()
    hana.page.locator("summary").click()
    write(customer.page, "Are you there?")
    hana.page.get_by_text("Are you there?").wait_for(timeout=WAIT)
    hana.page.get_by_role("button", name="Use this").nth(1).click()
    hana.page.get_by_role("button", name="Send").click()
    customer.page.get_by_text("Another answer").wait_for(timeout=WAIT)


def test_without_a_script_it_works_by_loading_anew(visit):
    page = visit(java_script_enabled=False).page
    page.locator("#text").fill("Is this on?")
    page.get_by_role("button", name="Send").click()
    page.get_by_text("About Is this on?").wait_for(timeout=WAIT)
    page.get_by_role("button", name="No", exact=True).click()
    page.get_by_text("Did not help").wait_for(timeout=WAIT)
    page.get_by_role("link", name="Look for news").click()
    page.get_by_text("About Is this on?").wait_for(timeout=WAIT)


@pytest.mark.parametrize("width", [1280, 390, 320])
def test_it_fits_the_screen_in_both_languages(visit, width):
    for language, words in (("en-US", "Talk to a person"), ("zh-CN", "转人工")):
        page = visit(width=width, language=language).page
        write(page, "x" * 300)
        page.get_by_role("button", name=words).wait_for(timeout=WAIT)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
