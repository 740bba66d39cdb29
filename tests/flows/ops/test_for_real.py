"""Promotion, a second one and a rollback by the forms of the page, each a real command with a real trial."""

import pytest
from ops_page import field, send, sign_in
from services import until

from flows import deploy, registry
from tasks.core.line import STATE


@pytest.mark.long
def test_a_champion_is_made_and_taken_back_by_the_page(assignments, opened):
    page = opened()
    sign_in(page.client, "Mara", "sentiment")

    def act(what, **fields):
        before = len(page.desk.jobs.of("sentiment"))
        token = field(page.client.get("/lines/sentiment").text, "csrf")
        answer = send(page.client, f"/lines/sentiment/{what}", csrf=token, why="It is better", **fields)
        assert answer.status_code == 303
        until(lambda: page.desk.jobs.of("sentiment")[0].state != "running", 240)
        job = page.desk.jobs.of("sentiment")[0]
        assert (len(page.desk.jobs.of("sentiment")), job.state) == (before + 1, "done"), list(job.said)
        return page.client.get("/lines/sentiment").text

    assert "no champion yet" in page.client.get("/lines/sentiment").text
    assert "v0.0.1" in act("promote", release=assignments["bad"])
    shown = act("promote", release=assignments["good"])
    assert "v0.0.2 of sentiment" in shown and "is champion and serves" in shown
    assert deploy.serving_folder().pointer("sentiment").release == assignments["good"]
    assert registry.history("sentiment")[-1].record.by == "Mara"
    shown = act("rollback", version="v0.0.1")
    assert deploy.serving_folder().pointer("sentiment").release == assignments["bad"]
    assert "serves again" in shown
    assert not list((STATE / "ops").glob("*"))  # nothing is kept of keys or sessions
