"""Who may promote: keys and signed tags as people have them, and what is tried in their place."""

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from toy import make_repository

from flows.approver import KEY, NotAllowedError, Question, allowed
from tasks.core.errors import SettingsError
from tasks.core.line import Line
from tasks.team import hash_key, new_key

KEYS = {name: new_key() for name in ("Anna", "Otto")}
RELEASE = "0123456789ab"
SIGNS = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="there is no ssh-keygen")


@pytest.fixture
def repository(workdir, monkeypatch):
    """A git repository with a team of an approver and one of ops."""
    monkeypatch.delenv(KEY, raising=False)
    (workdir / "file").write_text("")
    make_repository(workdir)
    write_team()
    return workdir


def write_team(**signing):
    """team.yaml: Anna approves, Otto operates; `signing` are their SSH public keys."""
    roles = {"Anna": ["approver"], "Otto": ["ops", "annotator"]}
    people = [
        {"name": name, "email": f"{name.lower()}@example.org", "roles": roles[name], "key": hash_key(KEYS[name])}
        | ({"signing_key": signing[name]} if name in signing else {})
        for name in roles
    ]
    Path("team.yaml").write_text(yaml.safe_dump({"people": people}))


def ask(act="approve", by="Anna", since=None, makers=None):
    return Question(act, Line("sentiment"), RELEASE, by, since, makers)


def git(*arguments):
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout


def ssh_key(name):
    """The private key's path and the public key's text."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", name], check=True)
    return name, Path(f"{name}.pub").read_text().strip()


def sign(key, tag=f"approve/sentiment/{RELEASE}", *more):
    git("-c", "gpg.format=ssh", "-c", f"user.signingKey={key}.pub", "tag", "-s", "-m", "ok", tag, *more)


def test_without_a_team_anyone_may_and_it_is_said(repository, caplog):
    (repository / "team.yaml").unlink()
    with caplog.at_level("INFO", "tidegate"):
        approved = allowed(ask(by="who\never"))
    assert (approved.by, approved.email) == ("who ever", "tester@example.org")
    assert "There is no team.yaml" in caplog.text
    with pytest.raises(SettingsError, match=r"two_pairs_of_eyes is on, but there is no team\.yaml"):
        allowed(ask(makers=frozenset({"Mara"})))
    with pytest.raises(SettingsError, match="--by is empty"):
        allowed(ask(by=" "))


def test_a_key_proves_it(repository, monkeypatch):
    assert allowed(ask(), KEYS["Anna"]).proof == "API key"
    monkeypatch.setenv(KEY, KEYS["Anna"])
    approved = allowed(ask(by="anna@example.org"))
    assert (approved.by, approved.email, approved.proof) == ("Anna", "anna@example.org", "API key")


@pytest.mark.parametrize("key", [KEYS["Otto"], new_key(), "", KEYS["Anna"][:-1]], ids=["Otto's", "new", "none", "cut"])
def test_another_key_proves_nothing(repository, monkeypatch, key):
    monkeypatch.setenv(KEY, key)
    with pytest.raises(NotAllowedError, match="is not Anna's") as error:
        allowed(ask())
    assert not key or key not in str(error.value)


@pytest.mark.parametrize(
    ("act", "by", "said"),
    [
        ("approve", "Otto", "Otto is no approver. Who may approve: Anna."),
        ("reject", "Otto", "Otto is no approver. Who may reject: Anna."),
        ("approve", "Eve", "Eve is nobody in team.yaml. Who may approve: Anna."),
        ("rollback", "Eve", "Eve is nobody in team.yaml. Who may rollback: Anna, Otto."),
    ],
)
def test_the_role_is_needed(repository, act, by, said):
    with pytest.raises(NotAllowedError) as error:
        allowed(ask(act, by), KEYS.get(by, KEYS["Anna"]))
    assert str(error.value) == said


def test_ops_may_roll_back(repository):
    assert allowed(ask("rollback", "Otto"), KEYS["Otto"]).by == "Otto"


@pytest.mark.parametrize("makers", [{"ANNA"}, {"Someone", "anna@example.org"}])
def test_the_maker_does_not_approve(repository, makers):
    with pytest.raises(NotAllowedError, match=r"Anna made release 0123456789ab\. Let another approver decide"):
        allowed(ask(makers=frozenset(makers)), KEYS["Anna"])


def test_an_unknown_maker_could_be_anybody(repository):
    with pytest.raises(NotAllowedError, match="nothing says who made release"):
        allowed(ask(makers=frozenset()), KEYS["Anna"])
    assert allowed(ask(makers=frozenset({"Mara"})), KEYS["Anna"]).by == "Anna"


def test_with_neither_key_nor_tag_it_is_said_how(repository):
    with pytest.raises(NotAllowedError) as error:
        allowed(ask())
    said = str(error.value)
    assert "environment variable TIDEGATE_KEY" in said
    assert "put Anna's signing_key into team.yaml" in said
    assert said.endswith(f"tag -s -m ok approve/sentiment/{RELEASE}")


@SIGNS
def test_a_signed_tag_proves_it(repository):
    key, public = ssh_key("anna")
    write_team(Anna=public)
    sign(key)
    approved = allowed(ask())
    assert approved.proof == f"tag approve/sentiment/{RELEASE}, signed with the SSH key of Anna"
    with pytest.raises(NotAllowedError, match="has to prove it is them"):
        allowed(ask("reject"))  # a yes is no no


@SIGNS
def test_a_tag_signed_by_another_proves_nothing(repository):
    anna, otto = ssh_key("anna"), ssh_key("otto")
    write_team(Anna=anna[1], Otto=otto[1])
    sign(otto[0])
    with pytest.raises(NotAllowedError, match="is not signed with Anna's key"):
        allowed(ask())


@SIGNS
def test_a_tag_that_nobody_signed_proves_nothing(repository):
    write_team(Anna=ssh_key("anna")[1])
    git("tag", "-a", "-m", "ok", f"approve/sentiment/{RELEASE}")
    with pytest.raises(NotAllowedError, match="is not signed with Anna's key"):
        allowed(ask())


@SIGNS
def test_the_signature_of_another_release_proves_nothing(repository):
    key, public = ssh_key("anna")
    write_team(Anna=public)
    sign(key, "approve/sentiment/another")
    git("update-ref", f"refs/tags/approve/sentiment/{RELEASE}", "refs/tags/approve/sentiment/another")
    with pytest.raises(NotAllowedError, match="was signed under another name"):
        allowed(ask())


@SIGNS
def test_an_edited_tag_proves_nothing(repository):
    key, public = ssh_key("anna")
    write_team(Anna=public)
    sign(key, "approve/sentiment/another")
    content = git("cat-file", "tag", "approve/sentiment/another").replace("sentiment/another", f"sentiment/{RELEASE}")
    made = subprocess.run(["git", "mktag"], input=content, capture_output=True, text=True, check=True).stdout.strip()
    git("update-ref", f"refs/tags/approve/sentiment/{RELEASE}", made)
    with pytest.raises(NotAllowedError, match="is not signed with Anna's key"):
        allowed(ask())


@SIGNS
def test_an_old_tag_proves_nothing_of_now(repository):
    key, public = ssh_key("anna")
    write_team(Anna=public)
    sign(key)
    now = datetime.now(UTC)
    assert allowed(ask(since=now - timedelta(hours=1))).by == "Anna"
    with pytest.raises(NotAllowedError, match=r"is of an earlier decision\. Delete it"):
        allowed(ask(since=now + timedelta(minutes=1)))


@SIGNS
def test_a_lightweight_tag_is_none(repository):
    write_team(Anna=ssh_key("anna")[1])
    git("tag", f"approve/sentiment/{RELEASE}")
    with pytest.raises(NotAllowedError, match="has to prove it is them"):
        allowed(ask())


@SIGNS
def test_a_tag_without_a_signing_key_in_the_team(repository):
    sign(ssh_key("anna")[0])
    with pytest.raises(NotAllowedError, match=r"team\.yaml has no signing_key of Anna"):
        allowed(ask())
    assert allowed(ask(), KEYS["Anna"]).proof == "API key"
