"""Proposals that wait for a human, and what becomes of them."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from commands import tidegate
from hypothesis import given
from hypothesis import strategies as st

from flows import approvals, deploy, promote, registry, release
from flows.approver import KEY, NotAllowedError
from flows.settings import load
from tasks.core.errors import RejectedError, SettingsError, StageError, TidegateError
from tasks.core.line import Line
from tasks.team import hash_key, new_key

SENTIMENT = Line("sentiment")
KEYS = {name: new_key() for name in ("Anna", "Mara")}


def params(**changes):
    content = yaml.safe_load(Path("params.yaml").read_text())
    content["lines"]["sentiment"]["promote"] = changes
    Path("params.yaml").write_text(yaml.safe_dump(content))


@pytest.fixture
def asked(unrecorded, monkeypatch):
    """The line asks a human; Anna and Mara may approve, and Mara makes the releases."""
    monkeypatch.delenv(KEY, raising=False)
    people = [
        {"name": name, "email": f"{name.lower()}@example.org", "roles": ["approver"], "key": hash_key(key)}
        for name, key in KEYS.items()
    ]
    Path("team.yaml").write_text(yaml.safe_dump({"people": people}))
    params(approval="human", two_pairs_of_eyes=True)
    return unrecorded


def propose():
    return promote.propose("sentiment", None, "run")


def decide(by="Anna", command=promote.promote):
    return command("sentiment", None, by, "looked at it", key=KEYS[by])


def state(name):
    found = approvals.read("sentiment", name)
    return found.state if found else None


def test_a_yes_promotes(asked):
    proposal = propose()
    assert (proposal.release, proposal.state, proposal.comparison) == (asked["good"], "waiting", None)
    with pytest.raises(NotAllowedError, match=f"Mara made release {asked['good']}"):
        decide("Mara")
    assert state(asked["good"]) == "waiting"
    assert "is champion and serves" in decide()
    decided = approvals.read("sentiment", asked["good"]).decided
    assert (decided.yes, decided.by, decided.why, decided.proof) == (True, "Anna", "looked at it", "API key")
    assert registry.versions("sentiment")[0].record.proof == "API key"
    assert propose() is None


def test_a_promotion_that_nobody_proposed_is_written_down_too(asked):
    decide()
    assert state(asked["good"]) == "yes"


def test_a_no_is_final_until_it_is_proposed_again(asked):
    propose()
    assert decide(command=promote.reject) == f"Release {asked['good']} of sentiment is declined by Anna: looked at it"
    with pytest.raises(RejectedError, match=r"Anna declined release .*: looked at it\. `tidegate propose sentiment"):
        decide()
    assert registry.versions("sentiment") == []
    assert propose().state == "waiting"
    decide()
    with pytest.raises(TidegateError, match="is champion of sentiment: `tidegate rollback sentiment`"):
        decide(command=promote.reject)


def test_no_decision_in_time_means_no(asked):
    params(approval="human", approval_hours=1e-9)
    assert propose().state == "expired"
    with pytest.raises(RejectedError, match=r"nobody decided until .* that means no"):
        decide()
    params(approval="human", approval_hours=24)
    left = datetime.fromisoformat(propose().expires) - datetime.now(UTC)
    assert 23.9 < left.total_seconds() / 3600 <= 24
    decide()


def test_what_is_worse_is_not_even_proposed(asked):
    decide()
    with pytest.raises(RejectedError, match="the challenger is worse"):
        promote.propose("sentiment", asked["bad"], "run")
    assert state(asked["bad"]) is None


def test_a_broken_record_is_said(asked):
    propose()
    path = approvals.FOLDER / "sentiment" / f"{asked['good']}.json"
    path.write_text("{")
    with pytest.raises(StageError, match=r"is broken .* Delete it, and propose again"):
        decide()


@given(st.booleans(), st.text(), st.text())
def test_records_come_back_as_they_were_written(yes, by, why):
    proposal = approvals.propose(Line("any"), "0" * 12, by, 1, None)
    made = approvals.decide(proposal, by, why, yes, "API key")
    assert approvals.read("any", "0" * 12) == made
    assert made.state == ("yes" if yes else "no")
    assert "\n" not in made.decided.why


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def artifacts(monkeypatch):
    """The Markdown that the flow shows on Prefect's page."""
    shown = []
    monkeypatch.setattr(release, "create_markdown_artifact", lambda text, **about: shown.append(text))
    return shown


def end_of_run():
    settings = load(["sentiment"])["sentiment"]
    return release._promote(SENTIMENT, settings, "Release made.").message


def test_the_release_flow_proposes_and_ends(asked, artifacts):
    assert "Release made. It waits for an approver until 20" in end_of_run()
    (text,) = artifacts
    assert f"tidegate promote sentiment {asked['good']} --by NAME --why TEXT" in text
    assert "There is no champion to compare with." in text
    decide(command=promote.reject)
    assert end_of_run() == "Release made."
    assert len(artifacts) == 1


def test_the_release_flow_promotes_where_params_say_so(asked, artifacts):
    decide()
    params(automatic=True)
    registered = registry.versions("sentiment")
    assert "is champion already and serves" in end_of_run()
    promote.rollback("sentiment", "v0.1.0", "Anna", "again", key=KEYS["Anna"])
    assert registry.versions("sentiment") == registered


def test_automatically_means_after_the_same_checks(asked):
    params(automatic=True)
    assert "v0.1.0 of sentiment" in end_of_run()
    record = registry.versions("sentiment")[0].record
    assert (record.by, record.proof) == ("Tester", "none, params.yaml says promote.automatic")
    with pytest.raises(RejectedError, match="worse"):
        promote.promote("sentiment", asked["bad"], "", "why", automatic=True)


def test_what_was_replaced_does_not_come_back_by_itself(asked):
    params()
    decide_on = {"key": KEYS["Anna"]}
    promote.promote("sentiment", asked["bad"], "Anna", "first", **decide_on)
    promote.promote("sentiment", asked["good"], "Anna", "better", **decide_on)
    promote.rollback("sentiment", None, "Anna", "complaints", **decide_on)
    params(automatic=True)
    assert "is promoted by `tidegate promote` alone" in end_of_run()
    assert deploy.serving_folder().pointer("sentiment").release == asked["bad"]


def test_a_serving_folder_that_cannot_be_asked_drops_nothing(asked, monkeypatch):
    monkeypatch.setattr(release, "get_run_logger", lambda: SimpleNamespace(warning=lambda *said: None))
    Path(".tidegate/serving/sentiment").mkdir(parents=True)
    Path(".tidegate/serving/sentiment/current.json").write_text("{")
    assert release._spared(SENTIMENT) == set(asked.values())


def test_automatic_and_human_contradict_each_other(asked):
    for other in ({"approval": "human"}, {"two_pairs_of_eyes": True}):
        params(automatic=True, **other)
        with pytest.raises(SettingsError, match="automatic: true goes with no approval"):
            load()


def test_the_commands(asked):
    environment = {**os.environ, KEY: KEYS["Anna"]}
    by = ("--by", "Anna", "--why", "looked at it")
    said = [
        tidegate("propose", "sentiment", "--by", "run"),
        tidegate("promote", "sentiment", *by),
        tidegate("reject", "sentiment", *by, env=environment),
        tidegate("promote", "sentiment", *by, env=environment),
    ]
    assert [done.returncode for done in said] == [0, 1, 0, 3], [done.stdout for done in said]
    assert "has to prove it is them" in said[1].stdout
    assert not [done for done in said if "Traceback" in done.stdout or KEYS["Anna"] in done.stdout]


FORM = """
from prefect.blocks.system import Secret
from flows.approve import approve
Secret(value={key!r}).save("anna", overwrite=True)
for decision, block in (("maybe", "anna"), ("yes", "nobody"), ("no", ""), ("yes", "anna")):
    state = approve("sentiment", {release!r}, decision, "Anna", "by the form", block, return_state=True)
    print(f"{{decision}} {{block}}: {{state.name}}: {{state.message}}".splitlines()[0])
"""


def test_the_form_of_prefects_page(asked, prefect_url):
    code = FORM.format(key=KEYS["Anna"], release=asked["good"])
    environment = {**os.environ, "PREFECT_API_URL": prefect_url, "PREFECT_LOGGING_LEVEL": "WARNING"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=200, env=environment, check=False
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 4, done.stdout + done.stderr
    assert lines[0].startswith("maybe anna: Failed")
    assert "There is no Secret block 'nobody'" in lines[1]
    assert "Anna has to prove it is them" in lines[2]
    assert "is champion and serves" in lines[3], lines
    assert KEYS["Anna"] not in done.stdout + done.stderr


def test_decision_has_no_default():
    from flows.approve import approve

    parameters = approve.parameters
    assert {"line", "release", "decision", "by", "why"} == set(parameters.required)
    assert "default" not in parameters.properties["decision"]
    assert SimpleNamespace(**parameters.definitions["Decision"]).enum == ["yes", "no"]
