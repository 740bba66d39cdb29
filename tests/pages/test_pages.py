"""The pages that a release brings, in a real browser without a network, on a wide screen and on a phone."""

from types import SimpleNamespace

import pandas as pd
import pytest
from profiles import rows, whole_page

from tasks import report
from tasks.examination import Plot, examples
from tasks.verdict import Check, Verdict

PAGES = {
    "Data Docs": "validate/docs/index.html",
    "quality gate": "quality_gate/gate.html",
    "release gate": "release_gate/gate.html",
    "model card": "release/bundle/model_card.html",
}
SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>"


@pytest.fixture
def opened(browser):
    """Open a file at a width; what it asks for, says in the console or alerts is kept."""
    contexts = []

    def open_page(file, width=1280, scheme="light"):
        context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True, reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        seen = SimpleNamespace(page=page, requests=[], said=[], alerts=[])
        page.on("request", lambda request: seen.requests.append(request.url))
        page.on("console", lambda message: seen.said.append(message.text))
        page.on("pageerror", lambda error: seen.said.append(str(error)))
        page.on("dialog", lambda dialog: (seen.alerts.append(dialog.message), dialog.dismiss()))
        page.goto(file.absolute().as_uri())
        return seen

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def data(lines):
    return lines["repro"] / "data" / "toy"


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_stands_alone_and_fits(name, width, opened, data):
    seen = opened(data / PAGES[name], width)
    page = seen.page
    assert page.locator("h1").count() == 1
    assert page.locator("h1").is_visible()
    assert page.title()
    assert page.get_by_text("pass", exact=False).first.is_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    outside = [url for url in seen.requests if not url.startswith(("file:", "data:"))]
    assert outside == []
    assert len([url for url in seen.requests if url.startswith("file:")]) == 1  # no second file either
    assert seen.said == []
    images = page.evaluate("[...document.images].map(image => [image.naturalWidth, image.alt])")
    assert all(natural > 0 and alt for natural, alt in images)
    assert len(images) == (2 if name in ("quality gate", "model card") else 0)


@pytest.mark.parametrize("name", PAGES)
def test_text_can_be_read_in_the_dark(name, opened, data):
    for scheme in ("light", "dark"):
        page = opened(data / PAGES[name], scheme=scheme).page
        ink, paper = page.evaluate(LIGHTNESS)
        assert contrast(ink, paper) > 4.5
        assert (ink > paper) == (scheme == "dark")


LIGHTNESS = """() => {
  const light = colour => {
    const c = document.createElement('canvas').getContext('2d');
    c.fillStyle = colour; c.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...c.getImageData(0, 0, 1, 1).data].slice(0, 3)
      .map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const badge = document.querySelector('.pass') || document.querySelector('td');
  const canvas = document.createElement('div');
  canvas.style.color = 'Canvas';
  document.body.append(canvas);
  return [light(getComputedStyle(badge).color), light(getComputedStyle(canvas).color)];
}"""
"""Relative luminance (WCAG 2) of the verdict's colour and of the page behind it."""


def contrast(a, b):
    return (max(a, b) + 0.05) / (min(a, b) + 0.05)


def test_a_gate_shows_markup_of_the_data_as_text(opened, tmp_path):
    checks = [
        Check(name=f"slices.source.{SCRIPT}.accuracy", value=0.5, min=0.8, rows=10, outcome="reject", note=SCRIPT),
        Check(name="label" + "_x" * 200, value=SCRIPT, outcome="warn"),
    ]
    judged = Verdict.of("quality_gate", checks)
    row = {"id": SCRIPT, "text": SCRIPT, "label": SCRIPT, "predicted": SCRIPT, "confidence": 0.9}
    part = examples(SCRIPT, SCRIPT, pd.DataFrame([row]))
    html = report.render(
        "gate.html.j2",
        title=SCRIPT,
        summary=SCRIPT,
        verdict=judged,
        plots=[(Plot(SCRIPT, b""), "data:,")],
        parts=[part],
    )
    (tmp_path / "gate.html").write_text(html)
    for width in (1280, 390):
        seen = opened(tmp_path / "gate.html", width)
        assert seen.alerts == []
        assert seen.page.locator("script").count() == 0
        assert seen.page.get_by_text(SCRIPT).count() >= 10
        assert seen.page.locator("h1 .badge").inner_text() == "reject"
        assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_profile_stands_alone_fits_and_shows_markup_of_the_data_as_text(width, scheme, opened, workdir):
    frame = rows(labels=("good", SCRIPT))
    frame.loc[frame.index % 3 == 0, "source"] = SCRIPT
    frame.loc[frame.index % 2 == 0, "text"] += f" {SCRIPT} and [PHONE]"
    (workdir / "profile.html").write_text(whole_page(frame))
    seen = opened(workdir / "profile.html", width, scheme)
    assert (seen.alerts, seen.said) == ([], [])
    assert [url for url in seen.requests if not url.startswith(("file:", "data:"))] == []
    assert seen.page.locator("script").count() == 0
    assert seen.page.get_by_text(SCRIPT).count() >= 10
    assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    images = seen.page.evaluate("[...document.images].map(image => [image.naturalWidth, image.alt])")
    assert len(images) == 5
    assert all(natural > 0 and alt for natural, alt in images)
    ink, paper = seen.page.evaluate(LIGHTNESS)
    assert contrast(ink, paper) > 4.5


def test_a_model_card_shows_markup_of_the_data_as_text(opened, tmp_path):
    from markdown_it import MarkdownIt

    from tasks.card import cell

    body = f"# {cell(SCRIPT)}\n\n{SCRIPT}\n\n| {cell(SCRIPT)} |\n| --- |\n| {cell('a|b ' + SCRIPT)} |\n"
    html = MarkdownIt("commonmark", {"html": False}).enable("table").render(body)
    (tmp_path / "card.html").write_text(report.render("model_card.html.j2", title=SCRIPT, body=html))
    seen = opened(tmp_path / "card.html", 390)
    assert seen.alerts == []
    assert seen.page.locator("script").count() == 0
    assert seen.page.get_by_text(SCRIPT).count() == 4
    assert seen.page.title() == SCRIPT
