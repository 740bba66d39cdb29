"""Labelling functions: the Python functions of data/<line>/labelling/*.py that look at a text and name its label."""

import inspect
import logging
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any, get_type_hints

from tasks.core.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

log = logging.getLogger("tidegate")

ABSTAINS = -1
FORM = "(text: str) -> str | None"
SHOWN = 60
"""Characters of a text that a message shows, letters and digits masked."""


@dataclass(frozen=True)
class Function:
    """One labelling function, called FILE.FUNCTION."""

    name: str
    file: Path
    call: Callable[[str], str | None]


class _Hangs(BaseException):
    """Out of a function that takes too long; no Exception, so that no function swallows it."""


class _Watch:
    """Ends a call that is still the same at two ticks of a timer: after one to two times `seconds`."""

    def __init__(self) -> None:
        self.at, self.seen = 0, -1

    def tick(self, _: int, __: FrameType | None) -> None:
        """The timer's signal."""
        if self.seen == self.at:
            raise _Hangs
        self.seen = self.at


def load(folder: Path, leave_out: Sequence[str], seconds: float) -> list[Function]:
    """The functions of a folder by name: those that a file defines with the form `(text: str) -> str | None`.

    Names that begin with an underscore, functions of another form and imported ones are no labelling functions. Raises
    DataError on a file that cannot be loaded, a folder without functions, and names to leave out that are none.
    """
    found = [function for path in sorted(folder.glob("*.py")) for function in _defined(path, _module(path, seconds))]
    names = [function.name for function in found]
    if unknown := sorted(set(leave_out) - set(names)):
        raise DataError(
            f"label.functions.leave_out names {', '.join(unknown)}; {folder} has {', '.join(names) or 'no function'}."
        )
    kept = [function for function in found if function.name not in leave_out]
    if not kept:
        raise DataError(
            f"{folder} holds no labelling function. Write def name{FORM} into a .py file there, or take "
            "label.functions out of params.yaml."
        )
    return kept


def votes(
    functions: Sequence[Function], ids: Sequence[str], texts: Sequence[str], labels: Sequence[str], seconds: float
) -> "NDArray[np.int64]":
    """What each function says of each text: [rows, functions], the label's place in `labels` or ABSTAINS.

    Raises DataError that names every function that raised, gave something that is no label or did not come back.
    """
    import numpy as np

    codes: dict[str | None, int] = {label: code for code, label in enumerate(labels)} | {None: ABSTAINS}
    found = np.full((len(texts), len(functions)), ABSTAINS, dtype=np.int64)
    problems = []
    for place, function in enumerate(functions):
        problem = _asked(function, texts, codes, seconds, found[:, place])
        if problem is not None:
            row, said = problem
            problems.append(f"{function.file}: {function.name.partition('.')[2]} {said} on row {ids[row]} "
                            f"({masked(texts[row])!r})")  # fmt: skip
    if problems:
        raise DataError(
            "Labelling functions failed; nothing was recorded:\n"
            + "\n".join(f"- {problem}" for problem in problems)
            + f"\nA function gives one of {', '.join(labels)}, or None where it does not know. Mend it, or name it in "
            "label.functions.leave_out."
        )
    return found


def masked(text: str) -> str:
    """The form of a text and nothing of what it says: letters as x, digits as 9, cut."""
    shape = re.sub(r"\d", "9", re.sub(r"[^\W\d_]", "x", text[:SHOWN]))
    return shape + ("..." if len(text) > SHOWN else "")


def _asked(
    function: Function, texts: Sequence[str], codes: dict[str | None, int], seconds: float, into: "NDArray[np.int64]"
) -> tuple[int, str] | None:
    """Fill in a function's votes; the first row on which it fails, and how, or None."""
    row = 0
    try:
        with _watched(seconds) as watch:
            for row, text in enumerate(texts):
                watch.at = row
                said = function.call(text)
                if not (said is None or isinstance(said, str)) or said not in codes:
                    return row, f"gives {_shown(said)}, which is no label,"
                into[row] = codes[said]
    except _Hangs:
        return row, f"takes longer than {seconds:g} s"
    except (Exception, SystemExit) as error:  # whatever a function of the user's does
        return row, _raised(error, function.file)
    return None


def _shown(said: object) -> str:
    return f"{said[:40]!r}" if isinstance(said, str) else f"a {type(said).__name__}"


def _raised(error: BaseException, file: Path) -> str:
    """The kind of error and its line in the file; its words may hold the text."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == file]
    return f"raises {type(error).__name__}" + (f" in line {lines[-1]}" if lines else "")


def _module(path: Path, seconds: float) -> ModuleType:
    """A file of functions, run under the same watch; no bytecode is left beside it."""
    name = f"labelling_{path.stem}"
    module = ModuleType(name)
    module.__file__ = str(path)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        with _watched(seconds):
            SourceFileLoader(name, str(path)).exec_module(module)
    except _Hangs:
        raise DataError(
            f"{path} takes longer than {seconds:g} s to be loaded. It should define functions only."
        ) from None
    except SyntaxError as error:
        raise DataError(f"{path} is no Python: {error.msg} in line {error.lineno}.") from None
    except (Exception, SystemExit) as error:  # whatever a file of the user's does
        raise DataError(f"{path} cannot be loaded: it {_raised(error, path)} ({str(error)[:200]}).") from None
    finally:
        sys.dont_write_bytecode = before
    return module


def _defined(path: Path, module: ModuleType) -> Iterator[Function]:
    own = {name: made for name, made in vars(module).items()
           if inspect.isfunction(made) and made.__module__ == module.__name__ and not name.startswith("_")}  # fmt: skip
    for name, made in sorted(own.items()):
        if _has_form(made):
            yield Function(f"{path.stem}.{name}", path, made)
        else:
            log.info("%s: %s has another form than %s and does not vote", path, name, FORM)


def _has_form(made: Callable[..., Any]) -> bool:
    try:
        hints = get_type_hints(made)
    except (NameError, TypeError):
        return False
    parameters = list(inspect.signature(made).parameters)
    return len(parameters) == 1 and hints.get(parameters[0]) is str and hints.get("return") in (str | None, str)


@contextmanager
def _watched(seconds: float) -> Iterator[_Watch]:
    """Let a call that hangs end with _Hangs; the main thread's own timer, if it has one, goes on afterwards."""
    watch = _Watch()
    before = signal.signal(signal.SIGALRM, watch.tick)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield watch
    finally:
        signal.setitimer(signal.ITIMER_REAL, left, interval)
        signal.signal(signal.SIGALRM, before)
