"""team.yaml: who works on the lines and which applications call the service, their roles and their keys."""

import hashlib
import hmac
import re
import secrets
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import Field, ValidationError

from tasks.core.errors import SettingsError
from tasks.core.settings import Settings, explain

TEAM = Path("team.yaml")
KEY_PREFIX = "tg_"
HASH_PREFIX = "sha256:"

Role = Literal["approver", "ops", "annotator", "adjudicator", "agent"]
"""approver: promotes. ops: rolls back, runs the service. annotator: labels. adjudicator: decides between annotators.
agent: answers customers."""

ROLES: tuple[str, ...] = get_args(Role)


class Person(Settings):
    """An entry of `people`."""

    name: str = Field(min_length=1, pattern=r"^[^\r\n]+$", description="as it stands in records; no two are the same")
    email: str = Field(pattern=r"^[\w.+-]+@[\w.-]+$", description="as in git's user.email")
    roles: tuple[Role, ...] = Field((), description="what the person may do")
    key: str | None = Field(None, description="hash of the API key; `tidegate team key NAME` makes both")
    signing_key: str | None = Field(
        None, pattern=r"^(ssh|ecdsa|sk)-\S+ [A-Za-z0-9+/=]+( [^\r\n]*)?$", description="SSH public key, for signed tags"
    )
    languages: tuple[str, ...] = Field((), description="which texts the person can label")
    capacity_per_week: int | None = Field(None, ge=0, description="how many texts the person can label in a week")


class Application(Settings):
    """An entry of `applications`: a program that calls the service."""

    name: str = Field(min_length=1, pattern=r"^[^\r\n]+$", description="as it stands in records; no two are the same")
    key: str = Field(description="hash of the API key; `tidegate team key NAME` makes both")
    rate: str | None = Field(
        None, pattern=r"^[1-9][0-9]*/(second|minute|hour|day)$", description="requests it may make, e.g. 100/second"
    )
    lines: tuple[str, ...] | None = Field(None, description="the lines it may call; default: all")


class _File(Settings):
    people: tuple[Person, ...] = ()
    applications: tuple[Application, ...] = ()


@dataclass(frozen=True)
class Member:
    """A person or an application that can prove who it is."""

    name: str
    kind: Literal["person", "application"]
    email: str = ""
    roles: frozenset[str] = frozenset()
    rate: str | None = None
    """Requests it may make, e.g. `100/second`; None where the service's own limit holds."""
    lines: tuple[str, ...] | None = None
    """The lines it may call; None: all."""
    key: str | None = field(default=None, repr=False)
    """`sha256:<hex>` of its API key."""
    signing_key: str | None = None
    """SSH public key, e.g. `ssh-ed25519 AAAA...`."""
    languages: tuple[str, ...] = ()
    capacity_per_week: int | None = None


@dataclass(frozen=True)
class Team:
    """Everyone that team.yaml names."""

    members: tuple[Member, ...]

    def authenticate(self, token: str) -> Member | None:
        """The member whose API key `token` is, else None. Takes as long for whomever it is, and for nobody."""
        given, found = hash_key(token), None
        for member in self.members:
            if member.key is not None and hmac.compare_digest(given, member.key):
                found = member
        return found

    def person(self, name: str) -> Member | None:
        """The person of that name, or with that e-mail address; None where there is none."""
        people = (member for member in self.members if member.kind == "person")
        return next((member for member in people if name in (member.name, member.email)), None)

    def having(self, *roles: str) -> list[str]:
        """The names of those who have one of the roles."""
        return [member.name for member in self.members if member.roles & set(roles)]


def load_team(path: Path = TEAM) -> Team | None:
    """The team; None where there is no file. Raises SettingsError that lists every error of the file.

    Keys are never shown, right or wrong.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not readable as YAML: {_where(error)}.") from None
    content = {} if content is None else content
    problems = [*_wrong_keys(content, path), *_twice(content, path)]
    try:
        team = _File.model_validate(content)
    except ValidationError as error:
        problems += explain(error, _File, str(path))
    if problems:
        said = "\n".join(f"- {problem}" for problem in problems)
        raise SettingsError(f"{path} has errors:\n" + re.sub(f"{KEY_PREFIX}[A-Za-z0-9_-]+", f"{KEY_PREFIX}...", said))
    return Team((*map(_person, team.people), *map(_application, team.applications)))


def new_key() -> str:
    """A new API key: 256 random bits, so that a plain SHA-256 of it cannot be turned round."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def hash_key(token: str) -> str:
    """What team.yaml holds of a key: `sha256:<hex>`."""
    return HASH_PREFIX + hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _person(person: Person) -> Member:
    fields = person.model_dump()
    return Member(kind="person", **{**fields, "roles": frozenset(person.roles)})


def _application(application: Application) -> Member:
    return Member(kind="application", **application.model_dump())


def _where(error: Exception) -> str:
    """What is wrong and where, without the text around it: that could hold a key."""
    mark = getattr(error, "problem_mark", None)
    place = f" in line {mark.line + 1}" if mark else ""
    return f"{getattr(error, 'problem', None) or 'no text in UTF-8'}{place}"


def _entries(content: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Place and content of every entry that is one, in a file that may hold anything."""
    for group in ("people", "applications"):
        entries = content.get(group) if isinstance(content, dict) else None
        for number, entry in enumerate(entries if isinstance(entries, list) else []):
            if isinstance(entry, dict):
                yield f"{group}.{number}", entry


def _wrong_keys(content: Any, path: Path) -> list[str]:
    """A sentence per key that is no hash, which is then taken out of `content`: it may be the key itself."""
    said = []
    for place, entry in _entries(content):
        key = entry.get("key")
        digest = key.removeprefix(HASH_PREFIX) if isinstance(key, str) else ""
        if key is None or (
            key == HASH_PREFIX + digest and len(digest) == 64 and not set(digest) - set("0123456789abcdef")
        ):
            continue
        entry["key"] = HASH_PREFIX
        said.append(
            f"{path}.{place}.key: must be the hash that `tidegate team key NAME` prints, sha256: and 64 hex digits; "
            "what was given is not shown. If it was a key, make a new one."
        )
    return said


def _twice(content: Any, path: Path) -> list[str]:
    """A sentence per name, address or key that more than one entry has."""
    said = []
    for what in ("name", "email", "key"):
        given = [entry[what] for _, entry in _entries(content) if isinstance(entry.get(what), str)]
        for value, times in Counter(map(str.casefold, given)).items():
            if times > 1 and value != HASH_PREFIX:
                shown = "the same key" if what == "key" else f"{what} {value!r}"
                said.append(f"{path}: {times} entries have {shown}; each needs its own.")
    return said
