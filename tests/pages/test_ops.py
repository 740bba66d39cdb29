"""The ops page in a real browser: read on a wide screen and on a phone, used by keyboard, attacked by what it shows."""

import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import ops_state
import pytest
import yaml
from services import PATIENCE, until

from flows import alerts, observations
from tasks.dialogue import store
from tasks.dialogue.events import Event
from tasks.team import hash_key, new_key

pytestmark = pytest.mark.xdist_group("ops")  # one server, one browser
COLOURS = ("green", "amber", "red", "grey", "bare")
WORDS = {"green": "Works", "amber": "Look at it", "red": "Act now", "grey": "Not known", "bare": "Not known"}
KEY = new_key()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """`python -m flows.ops` over a project with a line of every colour and a team.yaml; its address and folder."""
    folder = tmp_path_factory.mktemp("site")
    people = [{"name": "Mara", "email": "mara@example.org", "roles": ["approver"], "key": hash_key(KEY)}]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("PREFECT_API_URL", raising=False)
        ops_state.project(folder, COLOURS, {"people": people})
        for colour in COLOURS:
            ops_state.story("none" if colour == "bare" else colour, colour)
        ops_state.alert("loop", "notice", ops_state.SCRIPT, ops_state.SCRIPT, 2, "grey")
        written = folder / "ops.log"
        with written.open("w") as stream:
            process = subprocess.Popen([sys.executable, "-m", "flows.ops"], stdout=stream, stderr=subprocess.STDOUT)
    address = until(lambda: re.search(r"listening on (http://\S+)", written.read_text()))[1]
    yield SimpleNamespace(address=address, folder=folder, log=written)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
    assert KEY not in written.read_text()


@pytest.fixture(scope="module")
def mara(browser, site):
    """The cookies of an approver who signed in by the page, which says nothing in the console."""
    context = browser.new_context()
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"{site.address}/lines/red")
    page.locator("input[name=who]").fill(KEY)
    page.keyboard.press("Enter")
    page.locator(".hero").wait_for()
    assert page.url == f"{site.address}/lines/red"
    kept = context.storage_state()
    context.close()
    assert said == []
    return kept


@pytest.fixture
def visit(browser, site, mara):
    """Open a page of the site, signed in; what it asks for and says in the console is kept."""
    contexts = []

    def open_page(path, width=1280, language="en-US", scheme="light", **options):
        context = browser.new_context(
            viewport={"width": width, "height": 800}, locale=language, color_scheme=scheme, reduced_motion="reduce",
            storage_state=mara, **options,
        )  # fmt: skip
        contexts.append(context)
        page = context.new_page()
        seen = SimpleNamespace(page=page, requests=[], said=[])
        page.on("request", lambda request: seen.requests.append(request.url))
        page.on("console", lambda message: seen.said.append(message.text))
        page.on("pageerror", lambda error: seen.said.append(str(error)))
        page.on("dialog", lambda dialog: (seen.said.append(dialog.message), dialog.dismiss()))
        page.goto(site.address + path)
        return seen

    yield open_page
    for context in contexts:
        context.close()


def drawn(page):
    page.wait_for_selector("[data-drawn]", timeout=1000 * PATIENCE)


@pytest.mark.parametrize(
    ("colour", "width", "scheme"),
    [*((colour, 1280, "light") for colour in COLOURS), ("red", 390, "dark"), ("bare", 390, "light")],
)
def test_a_line_is_read_at_a_glance(colour, width, scheme, visit, site):
    seen = visit(f"/lines/{colour}", width, scheme=scheme)
    page = seen.page
    assert page.locator("h1").inner_text() == WORDS[colour]
    assert page.locator("h1").bounding_box()["y"] < 300
    assert page.locator(".hero svg.icon").first.is_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("#tiles .tile").count() == 4
    if colour != "bare":
        drawn(page)
        assert page.locator("[data-chart=accuracy] .scatterlayer .trace").count() >= 3
        assert page.locator("[data-chart=drift] .scatterlayer .point").count() > 100
    assert seen.said == []
    assert [url for url in seen.requests if not url.startswith((site.address, "data:"))] == []


def test_chinese_on_a_phone(visit):
    page = visit("/lines/red", 390, "zh-CN").page
    assert page.locator("h1").inner_text() == "立即处理"
    assert page.evaluate("document.documentElement.lang") == "zh-Hans"
    drawn(page)
    assert page.locator("[data-chart=drift]").get_by_text("用词").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("link", name="English").click()
    assert page.locator("h1").inner_text() == "Act now"


def test_words_are_told_from_their_ground(visit):
    for colour in ("green", "amber", "red", "grey"):
        page = visit(f"/lines/{colour}").page
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            for selector in (".hero h1", ".hero .why", ".hero .muted", ".tile .muted", ".pill", "#around li"):
                assert page.evaluate(CONTRAST, selector) > 4.5, (scheme, colour, selector)


CONTRAST = """selector => {
  const light = colour => {
    const c = document.createElement('canvas').getContext('2d');
    c.fillStyle = colour; c.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...c.getImageData(0, 0, 1, 1).data].slice(0, 3)
      .map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const text = document.querySelector(selector);
  let ground = text;
  while (ground && getComputedStyle(ground).backgroundColor === 'rgba(0, 0, 0, 0)') ground = ground.parentElement;
  const [a, b] = [getComputedStyle(text).color, getComputedStyle(ground || document.body).backgroundColor].map(light);
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}"""


def test_texts_of_users_stay_texts(visit):
    seen = visit("/lines/grey")
    assert seen.page.get_by_text(ops_state.SCRIPT).count() >= 2
    assert seen.said == []


def test_a_report_opens_apart_from_the_session(visit, site):
    seen = visit("/lines/red")
    with seen.page.expect_popup() as popup:
        seen.page.locator("#checks .head a").click()
    report = popup.value
    report.wait_for_load_state()
    assert "/lines/red/reports/" in report.url
    assert report.evaluate("self.origin") == "null"


def test_everything_can_be_done_by_keyboard(visit, site):
    page = visit("/lines/amber").page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    summary = page.locator("article", has_text="sentiment drifts").locator("details.act summary")
    summary.focus()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("I look into it")
    page.keyboard.press("Enter")
    page.wait_for_selector(".ack")
    assert "Mara looks after it" in page.locator(".ack").inner_text()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(site.folder)
        assert [one.acknowledged.by for one in alerts.open_alerts("amber") if one.kind == "drift"] == ["Mara"]


def test_a_decision_is_made_in_the_background_and_its_end_is_shown(visit):
    page = visit("/lines/red", 390).page
    page.locator(".decide details.act summary").first.click()
    page.locator(".decide details.act[open] input[name=why]").fill("It is better")
    page.locator(".decide details.act[open] button").click()
    job = page.locator(".job").first
    job.wait_for()
    job.get_by_text("failed").wait_for(timeout=1000 * PATIENCE)  # a made-up release is no good
    assert "Mara" in job.inner_text() and job.locator(".said-by").inner_text()


def test_the_page_renews_itself_and_keeps_what_is_being_typed(visit, site):
    page = visit("/lines/green").page
    drawn(page)
    page.evaluate("setTimeout = (call) => 0")  # its own rhythm is too slow for a test
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(site.folder)
        page.locator("#releases details.act summary").first.click()
        page.locator("#releases details.act[open] input[name=why]").fill("half a sen")
        last = observations.latest("green")
        observations.keep(last.model_copy(update={"health": "red", "reason": "It is over.", "checks": []}))
        page.evaluate("look()")
        page.locator(".hero.red").wait_for()
        assert page.locator(".hero .why").first.inner_text() == "It is over."
        assert page.locator("#releases details.act[open] input[name=why]").input_value() == "half a sen"
        observations.keep(last)


def test_a_server_that_is_gone_is_said(visit):
    seen = visit("/lines/amber")
    seen.page.context.set_offline(True)
    seen.page.evaluate("look()")
    seen.page.locator("#offline").wait_for()
    seen.page.context.set_offline(False)
    seen.page.evaluate("look()")
    seen.page.locator("#offline").wait_for(state="hidden")


def test_without_scripts_all_but_the_charts_is_there(visit):
    page = visit("/lines/red", java_script_enabled=False).page
    assert page.locator("h1").inner_text() == "Act now"
    assert page.locator("#checks tbody tr").count() == len(ops_state.CHECKS)
    assert "The charts need JavaScript" in page.locator(".charts").inner_text()


def test_all_lines_stand_on_the_first_page(visit):
    for width in (1280, 390):
        page = visit("/", width).page
        assert page.locator("#lines li").count() == len(COLOURS)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_who_waits_in_a_chat_stands_on_the_first_page(visit, site, monkeypatch):
    monkeypatch.chdir(site.folder)
    before = Path("params.yaml").read_text()
    params = yaml.safe_load(before)
    params["lines"]["faq"] = {**params["lines"]["green"], "kind": "retrieve", "label": {"by": "column"}}
    address = f"{site.address}/help"
    params["products"] = {"support": {"kind": "answer", "title": "Help", "answers": "faq", "address": address}}
    with store.opened() as engine:
        kept = store.Store(engine, "support")
        kept.add(Event("s", "d1", "customer", "said", ops_state.SCRIPT))
        kept.move(Event("h", "d1", "service", "handed_over"), "waiting", only=("service",))
    Path("params.yaml").write_text(yaml.safe_dump(params))
    try:
        for width in (1280, 390):
            seen = visit("/", width)
            tile = seen.page.locator("#lines .tile-line", has_text="Help")
            tile.get_by_text("Waiting for a person: 1").wait_for(timeout=1000 * PATIENCE)
            assert "script" not in tile.inner_text() and seen.said == []
            assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        tile.click()
        seen.page.wait_for_url(f"{address}/staff")
    finally:
        Path("params.yaml").write_text(before)
