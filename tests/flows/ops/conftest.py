"""Projects with made-up state: `told` has a line of every colour, `keyed` a team.yaml beside."""

import shutil
from types import SimpleNamespace

import ops_state
import pytest
import yaml
from ops_page import COLOURS, HERE
from starlette.testclient import TestClient

from flows.ops.app import create_app
from flows.ops.desk import Desk
from flows.ops_settings import OpsSettings
from serving.security import Keys
from tasks.team import hash_key, new_key


@pytest.fixture(scope="session")
def told_made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("told")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        ops_state.project(folder, COLOURS)
        for colour in COLOURS:
            ops_state.story("none" if colour == "bare" else colour, colour)
    return folder


@pytest.fixture
def told(told_made, workdir, monkeypatch):
    """A folder whose lines are named by their health; the working directory."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.delenv("TIDEGATE_ALERT_URLS", raising=False)
    shutil.copytree(told_made, workdir, dirs_exist_ok=True)
    return workdir


@pytest.fixture
def keyed(told):
    """Keys of Mara (approver), Olga (ops), Anna (annotator) and an application, whom a team.yaml names."""
    keys = {name: new_key() for name in ("Mara", "Olga", "Anna", "shop")}
    roles = {"Mara": ["approver"], "Olga": ["ops"], "Anna": ["annotator"]}
    people = [{"name": n, "email": f"{n}@example.org", "roles": r, "key": hash_key(keys[n])} for n, r in roles.items()]
    team = {"people": people, "applications": [{"name": "shop", "key": hash_key(keys["shop"])}]}
    (told / "team.yaml").write_text(yaml.safe_dump(team))
    return keys


@pytest.fixture
def opened():
    """Start the application in this process; a client whose cookies are kept, and its desk."""
    desks = []

    def start(client=HERE, **settings):
        desk = Desk(OpsSettings(**settings), Keys())
        desks.append(desk)
        made = TestClient(create_app(desk), base_url=client, follow_redirects=False, raise_server_exceptions=True)
        return SimpleNamespace(client=made, desk=desk)

    yield start
    for desk in desks:
        desk.close()
