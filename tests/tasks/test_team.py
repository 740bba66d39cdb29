"""team.yaml: every error at once, no key ever shown, nobody let in by half a key."""

import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.errors import SettingsError
from tasks.team import Member, Team, hash_key, load_team, new_key

KEY, OTHER = "tg_" + "k" * 43, "tg_" + "o" * 43  # the same in every worker of pytest-xdist
SIGNING = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKhF anna@example.org"


def written(workdir, **content):
    (workdir / "team.yaml").write_text(yaml.safe_dump(content))


def anna(**more):
    return {"name": "Anna", "email": "anna@example.org", "roles": ["approver", "ops"], "key": hash_key(KEY), **more}


def shop(**more):
    return {"name": "shop", "key": hash_key(OTHER), **more}


def test_no_file_no_team(workdir):
    assert load_team() is None


def test_an_empty_file_is_a_team_of_nobody(workdir):
    (workdir / "team.yaml").write_text("")
    assert load_team() == Team(())


def test_people_and_applications(workdir):
    person = anna(signing_key=SIGNING, languages=["en"], capacity_per_week=200)
    written(workdir, people=[person], applications=[shop(rate="100/second", lines=["sentiment"])])
    team = load_team()
    first, second = team.members
    assert (first.kind, first.roles, first.signing_key) == ("person", {"approver", "ops"}, SIGNING)
    assert (second.kind, second.rate, second.lines) == ("application", "100/second", ("sentiment",))
    assert team.authenticate(KEY) is first
    assert team.authenticate(OTHER) is second
    assert team.person("Anna") is team.person("anna@example.org") is first
    assert team.person("shop") is None
    assert team.having("approver", "adjudicator") == ["Anna"]
    assert hash_key(KEY) not in repr(team)


def test_all_errors_are_said_at_once_and_no_key(workdir):
    secret = new_key()
    people = [
        anna(role=["ops"]), {**anna(roles=["aprover"]), "email": "nowhere", "key": secret},
        {"name": "Bo", "email": "bo@example.org", "signing_key": "rsa"},
    ]  # fmt: skip
    written(workdir, people=people, applications=[shop(rate="often"), {"name": "till"}], aplications=[])
    with pytest.raises(SettingsError) as error:
        load_team()
    said = str(error.value)
    for part in (
        "team.yaml.people.0.role: unknown key (did you mean 'roles'?)",
        "people.1.roles.0: Input should be 'approver', 'ops', 'annotator', 'adjudicator' or 'agent'; given",
        "team.yaml.people.1.email", "team.yaml.people.1.key: must be the hash that `tidegate team key NAME` prints",
        "team.yaml.people.2.signing_key", "team.yaml.applications.0.rate", "team.yaml.applications.1.key: is missing",
        "team.yaml.aplications: unknown key (did you mean 'applications'?)", "2 entries have name 'anna'",
    ):  # fmt: skip
        assert part in said
    assert secret not in said
    assert error.value.exit_code == 2


def test_the_same_key_twice_is_refused_unshown(workdir):
    written(workdir, people=[anna()], applications=[shop(key=hash_key(KEY))])
    with pytest.raises(SettingsError, match="2 entries have the same key") as error:
        load_team()
    assert hash_key(KEY) not in str(error.value)


@pytest.mark.parametrize("content", ["- a", "people: 3", "people: [3]", "3", f"people: {{key: {KEY}}}"])
def test_what_is_no_team_is_an_error(workdir, content):
    (workdir / "team.yaml").write_text(content)
    with pytest.raises(SettingsError, match=r"team\.yaml has errors") as error:
        load_team()
    assert KEY not in str(error.value)


@pytest.mark.parametrize("content", [f"people: [name: {KEY}\n  key: '".encode(), b"\xff\xfe"])
def test_a_broken_file_shows_nothing_of_itself(workdir, content):
    (workdir / "team.yaml").write_bytes(content)
    with pytest.raises(SettingsError, match="not readable as YAML") as error:
        load_team()
    assert KEY not in str(error.value)


def test_keys_are_long_random_and_safe_in_headers():
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(re.fullmatch(r"tg_[A-Za-z0-9_-]{43}", key) for key in keys)
    assert re.fullmatch("sha256:[0-9a-f]{64}", hash_key(KEY))


@given(st.text(st.characters()) | st.integers(0, len(KEY) - 1).map(lambda end: KEY[:end]))
def test_nobody_else_gets_in(token):
    team = Team((Member("Anna", "person", key=hash_key(KEY)), Member("Bo", "person")))
    assert team.authenticate(token) is None
    assert team.authenticate(KEY).name == "Anna"
