import logging
import os

import pytest
import yaml
from services import StandIn, application
from starlette.testclient import TestClient

from serving import security
from serving.security import Keys, check_binding, loopback
from tasks.core.errors import SettingsError
from tasks.team import hash_key, new_key

SHOP, PRESS, OPS, READER = (new_key() for _ in range(4))
PREDICT = "/v1/lines/sentiment/predict"


def team(path, *, shop=SHOP):
    content = {
        "people": [
            {"name": "Olga", "email": "o@example.org", "roles": ["ops"], "key": hash_key(OPS)},
            {"name": "Ann", "email": "a@example.org", "roles": ["annotator"], "key": hash_key(READER)},
        ],
        "applications": [
            {"name": "shop", "key": hash_key(shop), "rate": "2/hour", "lines": ["sentiment"]},
            {"name": "press", "key": hash_key(PRESS), "lines": ["topic"]},
        ],
    }
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def file(tmp_path):
    return team(tmp_path / "team.yaml")


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(security, "TEAM_SECONDS", -1.0)


def client(keys=None, host="localhost", hub=None, **settings):
    return TestClient(application(hub or StandIn("sentiment", "topic"), keys, **settings), base_url=f"http://{host}")


def ask(client, token=None, line="sentiment", **headers):
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    return client.post(f"/v1/lines/{line}/predict", json={"texts": ["good"]}, headers=headers)


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": f"Bearer {SHOP[:-1]}"}, {"Authorization": f"Basic {SHOP}"}, {"Authorization": "Bearer"},
     {"X-API-Key": ""}, {"X-API-Key": hash_key(SHOP)}, {"Authorization": b"Bearer \xff\xfe"}],
)  # fmt: skip
def test_strangers_learn_what_is_wanted_and_nothing_else(file, headers):
    answer = ask(client(Keys(file)), **headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert "Authorization: Bearer tg_..." in answer.json()["error"]["message"]
    assert "sentiment" not in answer.text


def test_a_key_may_come_in_either_header(file):
    service = client(Keys(file))
    assert ask(service, SHOP).status_code == 200
    assert ask(service, **{"X-API-Key": SHOP}).status_code == 200


def test_the_hub_learns_who_asked(file):
    hub = StandIn()
    ask(client(Keys(file), hub=hub), SHOP)
    about = hub.line("sentiment").asked[0][1]
    assert (about["source"], about["key"]) == ("shop", "shop")


def test_a_key_is_for_its_lines(file):
    service = client(Keys(file))
    assert ask(service, PRESS).status_code == 403
    assert ask(service, PRESS, "topic").status_code == 200
    assert ask(service, PRESS, "no_such_line").status_code == 403
    listed = service.get("/v1/lines", headers={"X-API-Key": PRESS}).json()
    assert [line["line"] for line in listed["lines"]] == ["topic"]
    assert ask(service, OPS, "topic").status_code == 200


def test_a_key_has_a_rate_of_its_own(file):
    service = client(Keys(file))
    assert [ask(service, SHOP).status_code for _ in range(4)] == [200, 200, 429, 429]
    refused = ask(service, SHOP)
    assert refused.json()["error"]["code"] == "rate_limited"
    assert 3500 < int(refused.headers["retry-after"]) <= 3601
    assert ask(service, PRESS, "topic").status_code == 200


def test_the_services_own_rate_holds_for_those_without_one(file):
    service = client(Keys(file), rate="1/minute")
    assert [ask(service, PRESS, "topic").status_code for _ in range(2)] == [200, 429]
    assert [ask(service, SHOP).status_code for _ in range(3)] == [200, 200, 429]


def test_metrics_are_for_those_who_run_the_service(file):
    service = client(Keys(file))
    asked = {token: service.get("/metrics", headers={"X-API-Key": token}).status_code for token in (OPS, READER, SHOP)}
    assert list(asked.values()) == [200, 403, 403]
    assert service.get("/metrics").status_code == 401


def test_probes_and_descriptions_need_no_key(file):
    service = client(Keys(file))
    paths = ("/", "/v2/health/live", "/v2/health/ready", "/openapi.json", "/docs")
    assert {path: service.get(path).status_code for path in paths} == dict.fromkeys(paths, 200)
    assert service.get("/v2/models/sentiment").status_code == 401


def test_a_withdrawn_key_dies_without_a_restart(file, at_once):
    service = client(Keys(file))
    assert ask(service, SHOP).status_code == 200
    team(file, shop=new_key())
    os.utime(file, ns=(1, 1))  # an edit within the clock's own step
    assert ask(service, SHOP).status_code == 401


@pytest.mark.parametrize("harm", [lambda file: file.write_text("people: [\n"), lambda file: file.unlink()])
def test_a_team_file_that_broke_leaves_the_keys_in_force(file, at_once, harm, caplog):
    service = client(Keys(file))
    harm(file)
    with caplog.at_level(logging.ERROR):
        assert ask(service, SHOP).status_code == 200
    assert ask(service).status_code == 401
    assert "stay in force" in caplog.text
    assert len(caplog.records) == 1


def test_a_team_file_that_comes_later_is_heeded(tmp_path, at_once):
    service = client(Keys(tmp_path / "team.yaml"))
    assert ask(service).status_code == 200
    team(tmp_path / "team.yaml")
    assert ask(service).status_code == 401


def test_a_broken_team_file_does_not_start(file):
    file.write_text("people: [\n")
    with pytest.raises(SettingsError, match="not readable as YAML"):
        Keys(file)


@pytest.mark.parametrize("name", ["Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Real-IP", "Via"])
def test_without_keys_nobody_comes_through_a_proxy(name):
    answer = ask(client(), **{name: "10.0.0.1"})
    assert answer.status_code == 401
    assert name.lower() in answer.json()["error"]["message"]
    assert "team.yaml" in answer.json()["error"]["message"]


def test_with_keys_a_proxy_is_no_matter(file):
    assert ask(client(Keys(file)), SHOP, **{"X-Forwarded-For": "10.0.0.1"}).status_code == 200


@pytest.mark.parametrize(
    ("host", "status"), [("127.0.0.1:8000", 200), ("[::1]:8000", 200), ("localhost", 200), ("rebound.example.org", 401)]
)
def test_without_keys_the_service_answers_to_its_own_names_alone(host, status):
    assert ask(client(), Host=host).status_code == status


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", ""])  # noqa: S104
def test_without_keys_other_machines_are_not_listened_to(host, file):
    assert not loopback(host)
    with pytest.raises(SettingsError, match=r"team\.yaml"):
        check_binding(host, Keys(None))
    check_binding(host, Keys(file))
    check_binding("127.0.0.1", Keys(None))
