"""One browser for all pages."""

import shutil

import pytest


@pytest.fixture(scope="module")
def browser():
    """Chromium as the machine has it.

    For a module, not the session: its driver keeps an event loop running, beside which other tests could have none.
    """
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on this machine")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()
