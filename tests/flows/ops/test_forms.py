"""Signing in and out, and acting: who may, with which form, and what comes of it."""

import ops_state
import pytest
from ops_page import HERE, field, send, sign_in
from services import until

from flows import alerts
from flows.ops import jobs
from flows.web.sessions import Sessions
from serving.security import Keys


class Commands:
    """Stands in the place of the processes: remembers what was to be run."""

    def __init__(self, monkeypatch, code=0, said="It is done."):
        self.given = []
        monkeypatch.setattr(jobs, "child", self)
        self.code, self.said = code, said

    def __call__(self, command, **options):
        self.given.append((command, options))
        return self

    def __enter__(self):
        self.stdout = ["looking\n", f"{self.said}\n"]
        return self

    def __exit__(self, *_):
        return None

    def wait(self):
        return self.code


def csrf(client, line="red"):
    return field(client.get(f"/lines/{line}").text, "csrf")


def test_a_key_opens_and_a_session_ends_with_it(keyed, opened, told):
    page = opened()
    client = page.client
    assert sign_in(client, "tg_wrong").status_code == 401
    assert sign_in(client, keyed["shop"]).status_code == 401  # an application looks at nothing
    answer = sign_in(client, keyed["Mara"])
    assert answer.headers["location"] == "/lines/red"
    assert keyed["Mara"] not in str(answer.headers) and keyed["Mara"] not in repr(page.desk.sessions._open)
    assert "Mara" in client.get("/lines/red").text
    (told / "team.yaml").write_text("people: []\n")
    until(lambda: client.get("/lines/red").status_code == 303)


def test_signing_out_ends_the_session_itself(keyed, opened):
    client = opened().client
    sign_in(client, keyed["Mara"])
    token = client.cookies["tidegate_ops"]
    assert send(client, "/logout", csrf=csrf(client)).status_code == 303
    assert client.get("/lines/red", headers={"cookie": f"tidegate_ops={token}"}).status_code == 303


def test_a_session_ends_after_its_hours(told):
    now = [0.0]
    sessions = Sessions(Keys(), 1, 10, clock=lambda: now[0])
    session = sessions.sign_in("Mara")
    assert sessions.find(session.token) is session
    now[0] = 3601
    assert sessions.find(session.token) is None
    assert sessions.find(None) is None and sessions.find("") is None and sessions.sign_in(" \n") is None


def test_attempts_to_sign_in_are_few(keyed, opened):
    client = opened(logins_per_minute=3).client
    codes = [sign_in(client, "tg_wrong").status_code for _ in range(4)]
    assert codes == [401, 401, 401, 429]
    assert sign_in(client, keyed["Mara"]).status_code == 429


def test_where_one_goes_after_signing_in_is_ours(keyed, opened):
    client = opened().client
    for line in ("//evil.example", "https://evil.example", "../x", "nothing"):
        form = client.get("/login", params={"line": line}).text
        assert "evil" not in form
        answer = send(client, "/login", csrf=field(form, "csrf"), line=line, who=keyed["Mara"])
        assert answer.headers["location"] == "/"


def test_the_door_wants_its_own_form(keyed, opened):
    client = opened().client
    assert send(client, "/login", who=keyed["Mara"]).status_code == 403
    client.get("/login")
    assert send(client, "/login", csrf="x", who=keyed["Mara"]).status_code == 403


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": ""},
                                     {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "none"}])  # fmt: skip
def test_a_form_of_another_site_changes_nothing(headers, told, opened):
    client = opened().client
    sign_in(client, "Mara")
    token = csrf(client)
    alert = alerts.open_alerts("red")[0]
    fields = {"csrf": token, "alert": alert.id, "why": "x"}
    assert client.post("/lines/red/acknowledge", data=fields, headers=headers).status_code == 403
    assert send(client, "/lines/red/acknowledge", **{**fields, "csrf": "x"}).status_code == 403
    assert send(client, "/lines/red/acknowledge", alert=alert.id, why="x").status_code == 403
    assert alerts.read(alert.id).acknowledged == alert.acknowledged
    assert client.get("/logout").status_code in (404, 405)


def test_acknowledging_says_who_and_why(told, opened):
    client = opened().client
    sign_in(client, "Mara\nLindqvist")
    alert = next(one for one in alerts.open_alerts("amber") if one.kind == "drift")
    answer = send(client, "/lines/amber/acknowledge", csrf=csrf(client), alert=alert.id, why="I look\ninto it")
    assert answer.headers["location"] == "/lines/amber"
    seen = alerts.read(alert.id).acknowledged
    assert (seen.by, seen.why) == ("Mara Lindqvist", "I look into it")
    again = send(client, "/lines/amber/acknowledge", csrf=csrf(client), alert="20200101T000000-000000", why="x")
    assert again.status_code == 409 and "There is no open alert" in again.text


def test_a_promotion_is_the_command_that_anybody_could_give(keyed, opened, monkeypatch):
    commands = Commands(monkeypatch)
    client = opened().client
    sign_in(client, keyed["Mara"])
    sent = send(client, "/lines/red/promote", csrf=csrf(client), release=ops_state.CHALLENGER, why="--it is\nbetter")
    assert sent.headers["location"] == "/lines/red#jobs"
    until(lambda: "It is done." in client.get("/lines/red").text)
    command, options = commands.given[0]
    said = ["--why=--it is better", "--by=Mara"]
    assert command[1:] == ["-m", "flows.cli", "promote", "red", ops_state.CHALLENGER, *said]
    assert options["environment"] == {"TIDEGATE_KEY": keyed["Mara"]}
    assert keyed["Mara"] not in client.get("/lines/red").text


def test_only_who_has_the_role_may(keyed, opened, monkeypatch):
    commands = Commands(monkeypatch)
    page = opened()
    alert = next(one for one in alerts.open_alerts("amber") if one.kind == "drift")
    release, version = {"release": ops_state.CHALLENGER}, {"version": "v0.1.0"}
    acts = {"promote": release, "reject": release, "rollback": version, "acknowledge": {"alert": alert.id}}
    for name, may in {"Mara": set(acts), "Olga": {"acknowledge", "rollback"}, "Anna": set()}.items():
        sign_in(page.client, keyed[name])
        token = csrf(page.client, "amber")
        for act, more in acts.items():
            answer = send(page.client, f"/lines/amber/{act}", csrf=token, why="x", **more)
            assert answer.status_code == (303 if act in may else 403), (name, act)
            until(lambda: all(job.state != "running" for job in page.desk.jobs.of("amber")))
    assert [command[3] for command, _ in commands.given] == ["promote", "reject", "rollback", "rollback"]


def test_strange_fields_reach_no_command(told, opened, monkeypatch):
    commands = Commands(monkeypatch)
    client = opened().client
    sign_in(client, "Mara")
    token = csrf(client)
    for act, more in (
        ("promote", {"release": "--help", "why": "x"}), ("promote", {"release": "../../x", "why": "x"}),
        ("promote", {"release": ops_state.CHALLENGER, "why": " \n "}), ("promote", {"release": ops_state.CHALLENGER}),
        ("rollback", {"version": "v1", "why": "x"}), ("acknowledge", {"alert": "../x", "why": "x"}),
    ):  # fmt: skip
        assert send(client, f"/lines/red/{act}", csrf=token, **more).status_code == 422, (act, more)
    assert client.post("/lines/red/promote", content=b"a" * 9000, headers={"Origin": HERE}).status_code == 413
    assert client.post("/lines/red/promote", content=b"\xff\xfe", headers={"Origin": HERE}).status_code == 422
    assert send(client, "/lines/nothing/promote", csrf=token, release=ops_state.CHALLENGER, why="x").status_code == 404
    assert commands.given == []


def test_one_thing_at_a_time(told, opened, monkeypatch):
    page = opened()
    with monkeypatch.context() as patch:
        patch.setattr(jobs.threading.Thread, "start", lambda self: None)  # a job that never ends
        page.desk.jobs.start("red", "promote", "x", "Mara", [], None)
    sign_in(page.client, "Mara")
    sent = send(page.client, "/lines/red/promote", csrf=csrf(page.client), release=ops_state.CHALLENGER, why="x")
    assert sent.status_code == 409 and "Wait for its end" in sent.text
    assert "data-running" in page.client.get("/lines/red").text


@pytest.mark.parametrize(("code", "state"), [(0, "done"), (3, "rejected"), (1, "failed"), (-9, "failed")])
def test_what_a_command_said_and_how_it_ended_is_shown(code, state, told, monkeypatch):
    Commands(monkeypatch, code, "error: the gate says no")
    ended = []
    made = jobs.Jobs(ended.append)
    made.start("red", "promote", "x", "Mara", [], None)
    until(lambda: ended == ["red"])
    (job,) = made.of("red")
    assert (job.state, job.last) == (state, "the gate says no")
    assert made.of("green") == []
