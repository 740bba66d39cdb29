"""What the page shows of good and bad states, and to whom."""

import re
import shutil
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import ops_state
import pytest
import yaml
from commands import tidegate
from ops_page import COLOURS, HERE, field, send, sign_in

from flows import alerts, loop, observations, store
from flows.web.wall import DOCUMENT, REPORT
from tasks.core.files import write_json
from tasks.core.line import STATE
from tasks.drift.result import Figure

WORDS = {"green": "Works", "amber": "Look at it", "red": "Act now", "grey": "Not known", "bare": "Not known"}


def headline(html):
    return re.search(r"<h1[^>]*>([^<]*)</h1>", html)[1]


@pytest.mark.parametrize("colour", COLOURS)
def test_each_state_has_its_word_and_its_sentence(colour, told, opened):
    answer = opened().client.get(f"/lines/{colour}")
    assert answer.status_code == 200
    assert headline(answer.text) == WORDS[colour]
    if colour in ("amber", "red", "grey"):
        assert ops_state.SAID[colour] in unescape(answer.text)
    if colour == "bare":
        assert "no champion yet" in answer.text
        assert "data-figures" not in answer.text
    else:
        assert "v0.2.0" in answer.text


def test_the_first_page_lists_all_lines_and_one_alone_is_its_own_first_page(told, opened):
    page = opened().client.get("/").text
    assert [page.index(f'href="/lines/{colour}"') > 0 for colour in COLOURS]
    ops_state.project(told, ("sentiment",))
    assert opened().client.get("/").headers["location"] == "/lines/sentiment"


def test_chinese_is_spoken_where_it_is_asked_for(told, opened):
    client = opened().client
    assert headline(client.get("/lines/red", headers={"accept-language": "zh-CN,zh;q=0.9,en;q=0.8"}).text) == "立即处理"
    assert headline(client.get("/lines/red", headers={"accept-language": "de,en;q=0.5"}).text) == "Act now"
    assert headline(client.get("/lines/red?language=zh").text) == "立即处理"
    assert headline(client.get("/lines/red").text) == "立即处理"  # remembered
    assert headline(client.get("/lines/red?language=en").text) == "Act now"
    assert client.get("/lines/red?language=xx").status_code == 200


def test_every_answer_bears_the_policies(told, opened):
    client = opened().client
    for path in ("/lines/red", "/login", "/nothing", "/static/ops.css", "/lines/red/figures"):
        headers = client.get(path).headers
        assert "script-src 'self';" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert ("immutable" in headers["cache-control"]) == path.startswith("/static")
    policy = client.get("/lines/red").headers["content-security-policy"]
    assert "unsafe-inline" not in policy and "unsafe-eval" not in policy


def test_reports_and_evidence_are_shown_in_a_sandbox_and_nothing_else_is(told, opened):
    client = opened().client
    seen = observations.latest("red")
    answer = client.get(f"/lines/red/reports/{seen.id}")
    assert (answer.status_code, answer.headers["content-security-policy"]) == (200, REPORT)
    for name in ("model_card", "quality_gate", "release_gate"):
        answer = client.get(f"/lines/red/releases/{ops_state.CHAMPION}/{name}")
        assert (answer.status_code, answer.headers["content-security-policy"]) == (200, DOCUMENT)
    (STATE / "monitor/red/secret.html").write_text("no")
    for path in (
        "/lines/red/reports/secret", "/lines/red/reports/..%2Fred%2Fsecret", "/lines/nothing/reports/" + seen.id,
        f"/lines/red/reports/{observations.history('red')[0].id}", "/static/..%2Fen.json", "/static/ops.py",
        f"/lines/red/releases/{ops_state.CHAMPION}/manifest.json", "/lines/red/releases/..%2F../model_card",
        f"/lines/red/releases/{ops_state.CHALLENGER}/against/{ops_state.CHAMPION}", "/lines/..%2f..", "/docs",
        "/openapi.json",
    ):  # fmt: skip
        assert client.get(path).status_code == 404, path


def test_figures_reach_as_far_as_asked(told, opened):
    client = opened().client
    week = client.get("/lines/red/figures?days=7").json()
    day = client.get("/lines/red/figures?days=1").json()
    weeks, days = (next(t["x"] for t in made["accuracy"]["data"] if t.get("name") == "known") for made in (week, day))
    assert len(weeks) > 5 * len(days) > 0
    assert client.get("/lines/red/figures?days=1e9").json() == week
    bare = client.get("/lines/bare/figures").json()
    assert all(chart["data"] == [] for chart in bare.values())


def test_releases_bear_the_figure_that_the_line_decides_by_and_lists_their_click_through(told, opened):
    page = opened().client.get("/lines/green").text
    assert "Test accuracy" in page and "86.1%" in page and "Click-through" not in page
    params = yaml.safe_load((told / "params.yaml").read_text())
    params["lines"]["green"]["compare"] = {"metrics": ["f1_macro"], "decide_by": "f1_macro"}
    (told / "params.yaml").write_text(yaml.safe_dump(params))
    write_json(store.STORE / f"green/{ops_state.CHAMPION}/evidence/evaluate_metrics.json", {"f1_macro": 0.642})
    taken = Figure(value=0.307, low=0.29, high=0.32, rows=4321)
    observations.keep(ops_state.observation(datetime.now(UTC), line="green", click_through=taken))
    page = opened().client.get("/lines/green").text
    assert "macro F1 in its tests" in page and "64.2%" in page and "Test accuracy" not in page
    assert "Click-through" in page and "30.7%" in page and "4,321 lists" in page


def test_what_users_and_records_say_is_escaped(told, opened):
    ops_state.alert("drift", "severe", ops_state.SCRIPT, ops_state.SCRIPT, 1, "green")
    last = observations.latest("green")
    hurt = [check.model_copy(update={"name": ops_state.SCRIPT, "reason": ops_state.SCRIPT}) for check in last.checks]
    observations.keep(last.model_copy(update={"reason": ops_state.SCRIPT, "checks": hurt, "health": "red"}))
    page = opened().client.get("/lines/green").text
    assert "<script>alert" not in page and "<img" not in page
    assert page.count("&lt;script&gt;alert(1)") >= 5


def test_broken_records_hide_no_others(told, opened):
    last = observations.latest("green")
    observations.path("green", last.id).write_text("{half")
    (loop.FOLDER / "green.json").write_text("[]")
    for path in Path(".tidegate/approvals/green").glob("*.json"):
        path.write_text("{")
    (alerts.FOLDER / "20260101T000000-000000.json").write_text("not json")
    (STATE / "predictions.db").write_bytes(b"not a database" * 100)
    with (told / "params.yaml").open("a") as params:
        params.write("alerts: {missed_after_hours: 12}\n")
    page = opened().client.get("/lines/green").text
    assert headline(page) == "Works"  # by the look before
    assert "Some records cannot be read" in page
    assert "loop/green.json is broken" in page
    assert "cannot be read: file is not a database" in page
    assert "v0.2.0" in page


def test_a_log_that_is_gone_and_a_store_that_is_gone_are_said(told, opened):
    (STATE / "predictions.db").unlink()
    shutil.rmtree(STATE / "releases")
    page = opened().client.get("/lines/red").text
    assert "Prediction log</b> is not there" in page
    assert not (STATE / "predictions.db").exists()  # to look makes none
    assert headline(page) == "Act now"
    assert ops_state.CHAMPION in page


def test_a_broken_params_file_leaves_the_lines_of_before(told, opened):
    page = opened()
    assert page.client.get("/lines/red").status_code == 200
    Path("params.yaml").write_text("lines: [")
    assert page.client.get("/lines/red").status_code == 200


def test_without_a_team_only_this_machine_may_look(told, opened):
    client = opened().client
    assert client.get("/lines/red", headers={"host": "evil.example"}).status_code == 403
    assert client.get("/lines/red", headers={"x-forwarded-for": "1.2.3.4"}).status_code == 403
    assert client.get("/lines/red", headers={"host": "localhost:8700"}).status_code == 200


def test_with_a_team_strangers_see_nothing_but_the_door(keyed, opened):
    client = opened().client
    for path in ("/", "/lines/red", "/lines/red/figures", f"/lines/red/releases/{ops_state.CHAMPION}/model_card"):
        answer = client.get(path)
        assert answer.status_code == 303 and answer.headers["location"].startswith("/login")
    assert client.get("/health").text == "ok"
    assert sign_in(client, keyed["Anna"]).status_code == 303
    assert headline(client.get("/lines/red").text) == "Act now"
    assert "Approve and promote" not in client.get("/lines/red").text


def test_a_link_in_a_mail_finds_the_session_again(keyed, opened):
    page = opened().client.get("/lines/red", headers={"sec-fetch-site": "cross-site"})
    assert 'http-equiv="refresh"' in page.text  # loads itself once more, then with the cookie


def test_a_proxy_that_speaks_tls_makes_the_cookie_secure(keyed, opened):
    client = opened().client
    form = client.get("/login").text
    answer = send(client, "/login", csrf=field(form, "csrf"), who=keyed["Mara"], headers={"x-forwarded-proto": "https"})
    cookie = answer.headers["set-cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=strict", "Secure"))
    assert HERE not in answer.headers["location"]


def test_other_machines_reach_the_page_only_with_a_team(told):
    done = tidegate("ops", "--host", "192.0.2.1", "--port", "0")
    assert done.returncode == 2
    assert "The ops page was to listen on 192.0.2.1" in done.stdout and "team.yaml" in done.stdout
