"""A user's history as one text, and as the arrays that the user tower reads.

The text is JSON, `[["50",5],["172",null]]`: items with the rating given to each, the oldest first. Before them may
stand a time in seconds since 1970, `[889237269,["50",5]]`: the list is to be as of then. There is one way to write a
history, so that one can stand wherever a text does: in the reference of a release, in the log.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.core.errors import DataError

Indices = NDArray[np.int64]
Event = tuple[str, float | None]
"""An item, and how it was rated; None where it was not."""

PADDING, DISLIKED, BETWEEN, LIKED = range(4)
"""How a place of a history was rated; what nobody rated was chosen, and so counts as liked."""
CLASSES = 4
LONGEST_ID = 200  # characters


@dataclass(frozen=True)
class Tastes:
    """Where ratings begin to say that an item is liked, or is not."""

    like: float
    dislike: float
    """Ratings below it are negative feedback."""

    def classes(self, ratings: NDArray[np.floating[Any]]) -> Indices:
        """DISLIKED, BETWEEN or LIKED for each rating, NaN where there is none."""
        found = np.where(ratings < self.dislike, DISLIKED, np.where(ratings < self.like, BETWEEN, LIKED))
        return found.astype(np.int64)


def write(events: Sequence[Event], at: float | None = None) -> str:
    """The text of a history, and of the time of asking where that is not now."""
    moment = [] if at is None else [_plain(at)]
    told = [*moment, *([item, _plain(rating)] for item, rating in events)]
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def read(text: str) -> list[Event]:
    """The events of a history's text. Raises DataError where it is none."""
    return parse(text)[0]


def parse(text: str) -> tuple[list[Event], float | None]:
    """The events of a history's text, and the time of asking where it names one. Raises DataError where it is none."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):  # ValueError also of numbers with thousands of digits
        content = None
    if not isinstance(content, list):
        raise DataError(_wrong(text))
    timed = bool(content) and _is_number(content[0])
    at = _number(content[0], text) if timed else None
    return [_event(one, text) for one in content[timed:]], at


def _event(one: Any, text: str) -> Event:
    item, rating = one if isinstance(one, list) and len(one) == 2 else (one, None)
    if not isinstance(item, str) or not 0 < len(item) <= LONGEST_ID or _halved(item):
        raise DataError(_wrong(text))
    return item, None if rating is None else _number(rating, text)


def _halved(text: str) -> bool:
    """Whether it has half of a surrogate pair, which no file can hold."""
    return any("\ud800" <= character <= "\udfff" for character in text)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Any, text: str) -> float:
    try:
        number = float(value) if _is_number(value) else math.nan
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise DataError(_wrong(text))
    return number


def _wrong(text: str) -> str:
    return (
        f"{text[:40]!r} is no history. A history is JSON, the oldest first: a list of [item, rating], "
        'such as [["50",5],["172",null]].'
    )


def _plain(number: float | None) -> float | int | None:
    return int(number) if number is not None and float(number).is_integer() else number


def canonical(text: str) -> str:
    """The one way to write the history that a text tells of. Raises DataError where it is none."""
    return write(*parse(text))


def arrays(
    histories: Sequence[Sequence[Event]], numbers: Mapping[str, int], tastes: Tastes, longest: int
) -> tuple[Indices, Indices]:
    """Items by number and how they were rated, [rows, places] each, the latest first.

    Items that are not among `numbers` are left out, and so is what lies before the last `longest` of a history. Places
    behind a history's first event are PADDING; there is one place at least.
    """
    known = [[(numbers[item], rating) for item, rating in one if item in numbers][-longest:] for one in histories]
    places = max([1, *map(len, known)])
    items = np.zeros((len(known), places), dtype=np.int64)
    classes = np.full((len(known), places), PADDING, dtype=np.int64)
    for row, events in enumerate(known):
        if events:
            chosen, rated = zip(*reversed(events), strict=True)
            items[row, : len(events)] = chosen
            ratings = np.array([np.nan if rating is None else rating for rating in rated])
            classes[row, : len(events)] = tastes.classes(ratings)
    return items, classes


def seen(histories: Sequence[Sequence[Event]], numbers: Mapping[str, int]) -> NDArray[np.bool_]:
    """[rows, items], which items a history names."""
    found = np.zeros((len(histories), len(numbers)), dtype=np.bool_)
    for row, events in enumerate(histories):
        found[row, [numbers[item] for item, _ in events if item in numbers]] = True
    return found
