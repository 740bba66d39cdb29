"""Git as a command: what it answers, and its own message when it refuses."""

import os
import subprocess

from tasks.core.errors import TidegateError

TIMEOUT = 120.0  # seconds; a large working tree on a slow disk


def git(*arguments: str, text: str | None = None) -> str:
    """What a git command answers, `text` being its standard input. Raises TidegateError with git's own message.

    Git asks nothing meanwhile: a question would wait for ever where nobody sits.
    """
    try:
        done = subprocess.run(
            ["git", *arguments],
            input=text,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=TIMEOUT,
            check=False,
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8"},
        )
    except FileNotFoundError:
        raise TidegateError("There is no git here. Install it: promotions are recorded in its tags.") from None
    except subprocess.TimeoutExpired:
        raise TidegateError(f"`git {arguments[0]}` did not answer within {TIMEOUT:.0f} s.") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise TidegateError(f"`git {' '.join(arguments)}` was refused: {said}")
    return done.stdout


def asked(*arguments: str) -> str | None:
    """What a git command answers; None where it refuses."""
    try:
        return git(*arguments)
    except TidegateError:
        return None
