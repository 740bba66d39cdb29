"""The page of a line that recommends in a real browser: users, a history of one's own, texts that attack."""

import re
import signal
import subprocess
import sys
from types import SimpleNamespace

import films
import pytest
from services import PATIENCE, until

pytestmark = pytest.mark.xdist_group("recommend")  # one server, one browser
WAIT = 1000 * PATIENCE
ODD = '"><script>alert(2)</script>'


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """`tidegate recommend` over a release; its address."""
    folder = tmp_path_factory.mktemp("site")
    bundle = films.bundle(folder / "0123456789ab")
    (folder / "params.yaml").write_text("lines: {films: {kind: rank}}\nrecommend: {port: 0}\n")
    (folder / "dvc.yaml").touch()
    written = folder / "page.log"
    with written.open("w") as stream:
        command = [sys.executable, "-m", "flows.cli", "recommend", "films", "--release", str(bundle)]
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, cwd=folder)
    said = until(lambda: process.poll() is not None or re.search(r"listening on (http://\S+)", written.read_text()))
    assert process.poll() is None, written.read_text()
    yield said[1]
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
    assert "Traceback" not in written.read_text()


@pytest.fixture
def visit(browser, site):
    """Open the page; what the browser says besides is kept."""
    contexts = []

    def open_page(path="/", width=1280, language="en-US", **options):
        context = browser.new_context(
            viewport={"width": width, "height": 800}, locale=language, reduced_motion="reduce", **options
        )
        contexts.append(context)
        page = context.new_page()
        said = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        page.goto(site + path)
        return SimpleNamespace(page=page, said=said)

    yield open_page
    for context in contexts:
        context.close()


def listed(page):
    """The ids of the list."""
    return page.locator("#list .listed > li > div > code").all_inner_texts()


def test_staff_see_a_user_the_list_and_why(visit):
    seen = visit()
    page = seen.page
    assert page.get_by_role("heading", name="Recommendations of films").is_visible()
    assert listed(page)[:2] == ["172", "181"]
    assert page.locator("#history").get_by_text("Four Weddings").is_visible()
    assert page.locator("#list .why").first.get_by_text("Star <i>Wars</i> & co").is_visible()
    page.get_by_label("User, 1 to 2").fill("2")
    page.get_by_role("button", name="Show this user").click()
    page.wait_for_url("**user=2**")
    page.locator("#history").get_by_text("unknown here").wait_for(timeout=WAIT)
    page.get_by_role("link", name="Any user").click()
    page.get_by_role("heading", name=re.compile(r"User [12]")).wait_for(timeout=WAIT)
    assert seen.said == []


def test_fields_change_the_list_at_once(visit):
    seen = visit("/?history=[[%2250%22,5]]&top=3")
    page = seen.page
    assert listed(page)[:2] == ["172", "181"]
    page.get_by_label("With what the user has already").check()
    page.wait_for_url("**seen=1**")
    assert "50" in listed(page)
    page.get_by_label("Variety").fill("90")
    page.wait_for_url("**diversity=90**")
    assert {films.FILMS[item][1] for item in listed(page)} == set(films.SORTS)
    assert page.get_by_label("With what the user has already").is_checked()
    assert seen.said == []


@pytest.mark.parametrize("script", [True, False])
def test_a_history_is_put_together_by_searching_and_rating(visit, script):
    seen = visit(java_script_enabled=script)
    page = seen.page
    page.get_by_role("link", name="New history").click()
    page.get_by_text("Nothing yet").wait_for(timeout=WAIT)
    for words, stars in (("empire", "5"), ("fear", "1")):
        page.get_by_label("Words of an item").fill(words)
        page.get_by_role("button", name="Search").click()
        row = page.locator("#results li").first
        row.locator("select").select_option(stars)
        row.get_by_role("button", name="Add").click()
        page.locator("#history ol code").first.wait_for(timeout=WAIT)
    assert page.locator("#history ol code").all_inner_texts() == ["12", "172"]
    assert films.FILMS[listed(page)[0]][1] == "space"
    page.get_by_role("link", name="Remove A Night of Fear").click()
    page.locator("#history ol").get_by_text("A Night of Fear").wait_for(state="detached", timeout=WAIT)
    assert page.locator("#history ol code").all_inner_texts() == ["172"]
    page.get_by_label("Length of the list").fill("2")
    page.get_by_role("button", name="Show", exact=True).click()
    page.wait_for_url("**top=2**")
    assert len(listed(page)) == 2
    assert seen.said == []


def test_texts_that_attack_are_shown_as_text(visit):
    seen = visit("/?user=2&seen=1")
    assert seen.page.locator("#history").get_by_text("<img src=x onerror=alert(1)> Fear Again").is_visible()
    assert ODD in listed(seen.page)
    seen.page.goto(seen.page.url.partition("?")[0] + "?history=[]&find=ends")
    seen.page.get_by_role("button", name="Add").click()
    seen.page.locator("#history ol code").wait_for(timeout=WAIT)
    assert seen.page.locator("#history ol code").inner_text() == ODD
    assert seen.page.locator("main script, main img").count() == 0
    assert seen.said == []


@pytest.mark.parametrize("width", [1280, 390, 320])
def test_it_fits_the_screen_in_both_languages(visit, width):
    for language, words in (("en-US", "What this user may like next"), ("zh-CN", "该用户接下来可能喜欢")):
        for path in ("/?user=1", "/?history=[[%22" + "x" * 150 + "%22,5]]&find=e"):
            page = visit(path, width=width, language=language).page
            assert page.get_by_role("heading", name=words).is_visible()
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
