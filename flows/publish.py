"""What a run made, told to others: data to DVC's remote, then branch and tags together to git's."""

import logging

from flows.dag import Dag
from flows.git import asked, git
from tasks.core.errors import TidegateError
from tasks.core.line import STATE, Line

log = logging.getLogger("tidegate")


class PushRejectedError(TidegateError):
    """The remote has what we did not know of: fetch, and decide again."""


def remote() -> str | None:
    """The git remote that others read: `origin`, else the first; None where there is none."""
    names = (asked("remote") or "").split()
    return "origin" if "origin" in names else next(iter(names), None)


def fetch() -> None:
    """Learn what others promoted. Without a network that waits until the push."""
    name = remote()
    if name is not None:
        try:
            _there("fetch", "--quiet", "--tags", name)
        except TidegateError as error:
            log.warning("What others promoted is not known: %s", error)


def tags(line: str, commit: str) -> set[str]:
    """GTO's tags of a line at a commit: the version that it is, and when that was champion."""
    return set(git("tag", "--points-at", commit, "--list", f"{line}@*", f"{line}#*").split())


def take_back(names: set[str]) -> None:
    """Delete tags that nobody else has seen."""
    if names:
        git("tag", "--delete", *sorted(names))


def push_data(line: Line) -> None:
    """Push the line's inbox and all that its stages made, where DVC has a default remote."""
    Dag().push(line.name, line.inbox.with_name("inbox.dvc"))


def push(branch: str, names: set[str]) -> None:
    """Push a branch and tags, all or none of them, where git has a remote.

    Raises PushRejectedError where the remote refuses one of them, TidegateError where it cannot be reached.
    """
    name = remote()
    if name is None:
        return
    refs = [f"refs/heads/{branch}", *(f"refs/tags/{tag}" for tag in sorted(names))]
    try:
        _there("push", "--quiet", "--atomic", "--no-verify", name, *(f"{ref}:{ref}" for ref in refs))
    except TidegateError as error:
        raise (PushRejectedError(str(error)) if "rejected]" in str(error) else error) from None


def known_elsewhere(names: set[str]) -> set[str]:
    """Those of these tags that the remote has; none without a remote. Raises TidegateError where it does not answer."""
    name = remote()
    if name is None or not names:
        return set()
    found = _there("ls-remote", "--tags", name).splitlines()
    return names & {line.split("refs/tags/")[-1].removesuffix("^{}") for line in found}


def _there(*arguments: str) -> str:
    """Git in the project's own folder, whose remotes may have a path that is seen from there."""
    return git("-C", str(STATE.resolve().parent), *arguments)
