"""The log in a working directory of its own, on both databases."""

import pytest

from serving.log.database import migrate, open_database
from serving.log.settings import KEY, URL, LogSettings


@pytest.fixture(autouse=True)
def alone(workdir, monkeypatch):
    """No setting comes from the machine."""
    for name in (URL, KEY):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request):
    """An empty database of either kind."""
    return "sqlite:///log.db" if request.param == "sqlite" else request.getfixturevalue("postgres").url()


@pytest.fixture
def engine(url):
    """The database at the newest schema."""
    engine = open_database(url)
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def settings(url):
    """Settings of a log that drains soon."""
    return LogSettings(url=url, drain_seconds=0.02, keep_days=36_500)
