"""A git worktree for a run that no human started: the last commit, nobody's edits, this machine's state and caches."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flows.git import asked, git
from tasks.core.errors import TidegateError
from tasks.core.line import STATE

FOLDER = STATE / "worktrees"
WITHOUT_HOOKS = ("-c", "core.hooksPath=/dev/null")
"""DVC's hook would check the data of every line out, and others are there for people."""


def branch(line: str, attempt: str) -> str:
    """The branch that an attempt works on."""
    return f"tidegate/{line}/{attempt}"


@contextmanager
def worktree(line: str, attempt: str, commit: str) -> Iterator[Path]:
    """The project's folder in a worktree of `commit`, on a new branch; removed with the block, and the branch stays.

    It shares `.tidegate/`, DVC's cache and remotes with this one. Raises TidegateError where git refuses.
    """
    remove(line)
    folder = (FOLDER / line).absolute()
    git(*WITHOUT_HOOKS, "worktree", "add", "--quiet", "-b", branch(line, attempt), str(folder), commit)
    try:
        project = folder / git("rev-parse", "--show-prefix").strip()
        (project / STATE).symlink_to(STATE.absolute(), target_is_directory=True)
        _share_cache(folder)
        yield project
    finally:
        remove(line)


def remove(line: str) -> bool:
    """Remove the worktree of a line; whether there was one. Its branch stays."""
    folder = FOLDER / line
    there = folder.exists()
    if there:
        shutil.rmtree(folder)  # which takes the link to the state away, and not what it leads to
    asked("worktree", "prune")
    return there


def head() -> str:
    """The commit that a worktree starts from: the last one here. Raises TidegateError where there is none."""
    found = asked("rev-parse", "--verify", "--quiet", "HEAD")
    if found is None:
        raise TidegateError("There is no commit to start from. Commit the project first.")
    return found.strip()


def drop_branch(line: str, attempt: str) -> None:
    """Delete the branch of an attempt that came to nothing. Tags keep what they stand on."""
    asked("branch", "--quiet", "-D", branch(line, attempt))


def _share_cache(folder: Path) -> None:
    """Let DVC in the worktree use the cache and the remotes of this project, wherever its own config would look."""
    from dvc.config import Config
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            ours, cache = Path(repo.dvc_dir), repo.cache.local_cache_dir
        top = Path(git("rev-parse", "--show-toplevel").strip())
        known = Config(str(ours))
        with Config(str(folder / ours.relative_to(top))).edit("local") as local:
            local.update(_absolute(known.load_one("local")))
            local["remote"] = {**_absolute(known.load_one("repo")["remote"]), **local["remote"]}
            local["cache"]["dir"] = str(cache)
    except DvcException as error:
        raise TidegateError(f"DVC: {error}") from None


def _absolute(config: Any) -> Any:
    """Paths as plain text: DVC would write those that were relative to its own folder as such again."""
    if isinstance(config, dict):
        return {name: _absolute(value) for name, value in config.items()}
    return str(config) if isinstance(config, str) else config
