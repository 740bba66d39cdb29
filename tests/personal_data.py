"""How well personal data is found: the cases of tests/tasks/personal_data.txt, and precision and recall by kind."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tasks.masks import PLACEHOLDERS

FILE = Path(__file__).parent / "tasks" / "personal_data.txt"
_MARK = re.compile(r"\{(\w+)\|([^{}]+)\}")


class Case(NamedTuple):
    """A text, and the personal data in it as (kind, what)."""

    text: str
    marked: list[tuple[str, str]]


class Score(NamedTuple):
    """Counts of one kind: found rightly, found where there is none, and left standing."""

    right: int
    wrong: int
    missed: int


def cases() -> list[Case]:
    """All cases of the file."""
    lines = [line for line in FILE.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return [Case(_MARK.sub(r"\2", line), _MARK.findall(line)) for line in lines]


def chinese(case: Case) -> bool:
    """Whether a case is a Chinese text."""
    return bool(re.search("[\u4e00-\u9fff]", case.text))


def score(clean: Callable[[str], str], known: list[Case]) -> dict[str, Score]:
    """Counts by kind. What is masked as another kind is missed there and wrong here."""
    right, wrong, missed = Counter(), Counter(), Counter()
    for case in known:
        cleaned = clean(case.text)
        for kind, placeholder in PLACEHOLDERS.items():
            wanted = [what for marked, what in case.marked if marked == kind]
            gone = sum(what not in cleaned for what in wanted)
            found = cleaned.count(placeholder)
            right[kind] += min(gone, found)
            wrong[kind] += max(0, found - gone)
            missed[kind] += len(wanted) - min(gone, found)
    return {kind: Score(right[kind], wrong[kind], missed[kind]) for kind in PLACEHOLDERS}


def wrongly(clean: Callable[[str], str], known: list[Case]) -> list[tuple[str, str]]:
    """(given, made of it) of each case that is not as marked."""
    wanted = [case.text for case in known]
    for n, case in enumerate(known):
        for kind, what in case.marked:
            wanted[n] = wanted[n].replace(what, PLACEHOLDERS[kind], 1)
    return [(case.text, made) for case, want in zip(known, wanted, strict=True) if (made := clean(case.text)) != want]
