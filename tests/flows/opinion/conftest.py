"""A product whose feed tests write."""

import pytest
from newswire import Wire, write_params


@pytest.fixture
def wire(project, monkeypatch):
    """A project with a product, whose newest release is the good one; its feed."""
    monkeypatch.delenv("TIDEGATE_ALERT_URLS", raising=False)
    write_params()
    return Wire()
