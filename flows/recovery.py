"""What killed and failed attempts of the loop left: worktrees, branches, tags that nobody has seen."""

import logging

from flows import deploy, loop, promote, publish, worktree
from flows.examine import current_champion, release_of
from flows.git import asked
from flows.loop import Attempt
from flows.settings import load
from tasks.core.line import Line

log = logging.getLogger("tidegate")


def recover(line: str) -> list[Attempt]:
    """Put in order what killed attempts left, and record how they ended. Call it with the loop of the line held."""
    done = []
    for one in loop.dead(line):
        worktree.remove(line)
        served = _completed(line, one)
        if served is not None:
            done.append(loop.finish(line, one, "promoted", "It was killed after the promotion.", release=served))
        else:
            done.append(loop.finish(line, one, "failed", "Its process was killed."))
            tidy(line, done[-1])
        log.warning("Attempt %s of %s was killed. What it left is in order again.", one.id, line)
    return done


def tidy(line: str, done: Attempt) -> None:
    """Drop the branch of an attempt that made no release, or one that must not serve."""
    if done.commit is None:
        worktree.drop_branch(line, done.id)


def _completed(name: str, killed: Attempt) -> str | None:
    """The release that a killed attempt had promoted, which now serves; None where it had not come so far.

    Where others have seen its tags the promotion is completed, else the tags are taken back.
    """
    tip = (asked("rev-parse", "--verify", "--quiet", worktree.branch(name, killed.id)) or killed.base).strip()
    line = Line(name, load([name])[name].kind)
    names, current = publish.tags(name, tip), current_champion(line)
    if tip == killed.base or not names or current is None or current.commit != tip:
        return None
    release = release_of(line, current)
    if not deploy.serves(line, current):
        if not publish.known_elsewhere(names):
            publish.take_back(names)
            return None
        promote.promote(name, release, "", "completes what was cut short", automatic=True)
    return release
