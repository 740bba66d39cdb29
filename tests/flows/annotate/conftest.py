"""A project to label in, and the page over it in this process."""

import annotated
import pytest
from ops_page import sign_in
from starlette.testclient import TestClient

from flows.annotate.app import create_app
from flows.annotate.desk import Desk
from flows.annotate_settings import AnnotatePageSettings
from serving.security import Keys


@pytest.fixture
def keys(workdir):
    """The keys of the people of the project's team.yaml; its folder is the working directory."""
    return annotated.project(workdir)


@pytest.fixture
def desk(keys):
    """What the page has at hand."""
    return Desk(AnnotatePageSettings(), Keys())


@pytest.fixture
def enter(keys, desk):
    """A client whose cookies are kept, signed in as somebody; without a name a stranger's."""

    def start(name=None):
        client = TestClient(create_app(desk), base_url=annotated.HERE, follow_redirects=False)
        if name:
            assert sign_in(client, keys[name], "films").status_code == 303
        return client

    return start
