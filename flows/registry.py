"""The registry of releases: GTO's tags, which name versions and say which of them was champion when.

Nothing but tags is kept: a clone that fetches them knows all of it.
"""

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows import store
from flows.champion import PRODUCTION, Assignment, assigned, bring, released_at
from flows.record import Record, parse
from tasks.core.errors import SettingsError, TidegateError
from tasks.core.line import Line

VERSION = re.compile(r"v\d+\.\d+\.\d+")


@dataclass(frozen=True)
class Version:
    """A registered version of a line, with the record of its registration where its tag has one."""

    version: str
    commit: str
    record: Record | None

    def release(self, line: Line) -> str | None:
        """The id of its release; None where the tag has no record and DVC has not its bytes."""
        return self.record.release if self.record else released_at(line, self.commit)


@dataclass(frozen=True)
class Assigned:
    """A version was made champion."""

    version: str
    commit: str
    time: datetime
    number: int
    """Of the tag: tells assignments of one second apart."""
    record: Record | None


def versions(line: str) -> list[Version]:
    """The registered versions of a line, highest first; none where there is no git repository."""
    found = _artifact(line)
    if found is None:
        return []
    return [
        Version(v.version, v.commit_hexsha, parse(v.registrations[-1].message))
        for v in found.get_versions()
        if v.is_registered
    ]


def history(line: str) -> list[Assigned]:
    """Every assignment to production of versions that still stand, oldest first."""
    found = _artifact(line)
    events = []
    for version in found.get_versions() if found is not None else ():
        stage = version.stages.get(PRODUCTION)
        if stage is not None and stage.is_active:
            events += [
                Assigned(
                    version.version, event.commit_hexsha, event.created_at, _number(event.ref), parse(event.message)
                )
                for event in stage.assignments
            ]
    return sorted(events, key=lambda event: (event.time, event.number))


def earlier(line: str) -> list[Assigned]:
    """The champions that a rollback can go back to, the nearest last; the present one is not among them.

    Going back to a version takes back all that came after it: of v1, v2, back to v1 nothing is left behind v1, so that
    a second rollback never brings v2 again. One that was promoted anew stands behind what it replaced.
    """
    standing: list[Assigned] = []
    for event in history(line):
        known = [one.version for one in standing]
        anew = event.record is not None and event.record.action == "promotion"
        if event.version in known and not anew:
            standing = standing[: known.index(event.version)]
        standing.append(event)
    return standing[:-1]


def registered(line: Line, release: str) -> Version | None:
    """The highest version that a release was registered as; None where it was not."""
    return next((version for version in versions(line.name) if version.release(line) == release), None)


def folder(line: Line, version: Version) -> Path:
    """The release of a version in the store, brought there out of DVC where it is not."""
    kept = store.STORE / line.name / version.record.release if version.record else None
    if kept is not None and kept.exists():
        return kept
    return bring(line, Assignment(version.version, version.commit))


def find(line: Line, wanted: str | None = None) -> Path:
    """The folder of a release by version, id, the beginning of an id or a path; without one the newest of the store.

    Raises SettingsError for a version that is not registered, TidegateError where there is no such release.
    """
    if wanted is None or not VERSION.fullmatch(wanted):
        return store.find(line.name, wanted)
    return folder(line, named(line.name, wanted))


def named(line: str, wanted: str) -> Version:
    """A registered version. Raises SettingsError with those that there are."""
    known = versions(line)
    found = next((one for one in known if one.version == wanted), None)
    if found is None:
        names = ", ".join(one.version for one in known) or "none"
        raise SettingsError(f"There is no version {wanted} of {line}. Registered: {names}.")
    return found


def upcoming(line: str, bump: str) -> str:
    """The next version: the highest with its `major`, `minor` or `patch` raised; v0.0.0's where there is none."""
    from gto.versions import SemVer

    artifact = _artifact(line)
    used = [SemVer(v.version) for v in artifact.versions if v.is_registered] if artifact is not None else []
    highest = max(used, default=SemVer("v0.0.0"))
    raised: str = getattr(highest, f"bump_{bump}")().version
    return raised


def register(record: Record, commit: str) -> None:
    """Make the tag that names the release of a commit, with its record. Raises TidegateError where GTO refuses."""
    _write("register", record, version=record.version, rev=commit, simple=True)


def assign(record: Record) -> None:
    """Make the tag that makes a version champion, with its record; again where it was champion before.

    Raises TidegateError where another assignment counts as newer, which a wrong clock explains.
    """
    _let_the_second_pass(record.line)
    _write("assign", record, stage=PRODUCTION, version=record.version, force=True)
    newest = assigned(record.line)
    if newest is None or newest.version != record.version:
        raise TidegateError(
            f"{record.version} of {record.line} was assigned, but {newest.version if newest else 'none'} counts as the "
            "newest: is this machine's clock behind? Set it, then run the same command again."
        )


def _let_the_second_pass(line: str) -> None:
    """Tags know seconds alone: of two assignments in one, `gto show` would take either for the newest."""
    last = max((event.time for event in history(line)), default=None)
    passed = (datetime.now(UTC) - last).total_seconds() if last else 1.0
    if 0 <= passed < 1:
        time.sleep(1 - passed)


def _write(method: str, record: Record, **arguments: Any) -> None:
    from gto.exceptions import GTOException
    from gto.registry import GitRegistry
    from scmrepo.exceptions import SCMError

    who = {"author": re.sub("[<>]", "", record.by), "author_email": record.email}  # git's own marks
    try:
        with GitRegistry.from_url(".") as registry:
            getattr(registry, method)(name=record.line, message=record.message(), **arguments, **who)
    except (GTOException, SCMError) as error:
        raise TidegateError(f"GTO could not {method} {record.version} of {record.line}: {error}") from None


def _artifact(line: str) -> Any:
    """GTO's view of a line; None where it has none, or there is no git repository.

    Raises TidegateError for tags that GTO does not take: two versions on one commit, say.
    """
    from gto.exceptions import ArtifactNotFound, GTOException, NoRepo
    from gto.registry import GitRegistry
    from scmrepo.exceptions import SCMError

    try:
        with GitRegistry.from_url(".") as registry:
            return registry.find_artifact(line)
    except (ArtifactNotFound, NoRepo, SCMError):
        return None
    except GTOException as error:
        raise TidegateError(
            f"GTO cannot read the tags of {line}: {error} `git tag --list '{line}@*'` shows them; "
            "`git tag --delete` takes back the one that is wrong."
        ) from None


def _number(ref: str) -> int:
    number = ref.rpartition("#")[2]  # sentiment#production#3
    return int(number) if number.isdigit() else 0
