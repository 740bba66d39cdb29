"""Click-through: from how many of the lists that users got they took something, as feedback tells.

Feedback comes late, so that the newest lists always look worse. What is compared is what came within a time in which,
before the window, nine in ten of all items were taken that were taken at all (an attribution window), and only lists
that are as old as that.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.drift.counted import lost
from tasks.drift.estimate import accuracy
from tasks.drift.result import Check, Figure, Skipped
from tasks.drift.settings import MonitorSettings, Name

NAME: Name = "click_through"
WINDOWS = 7
"""So many windows before the current one are what it is compared with: a fall is seen again in the next window, which
confirms it, and a day of the week is in them."""
ENOUGH = 20  # lists from which something was taken, before the window, that tell how long it takes
ATTRIBUTED = 0.9
PLACES = 10


@dataclass(frozen=True)
class Shown:
    """Lists that users got, a row each."""

    time: NDArray[np.int64]
    """When it was given, microseconds since 1970."""
    place: NDArray[np.int64]
    """Of the first item of it that was taken, from 1; 0 where none was so far."""
    after: NDArray[np.float64]
    """Seconds until that feedback came; NaN where none did."""


@dataclass(frozen=True)
class Clicks:
    """The two sides that are compared."""

    before: Shown
    now: Shown
    until: int
    """When it was looked, microseconds since 1970."""

    def wait(self) -> float | None:
        """Seconds within which most of what was taken before was taken; None where too little was."""
        after = self.before.after[self.before.place > 0]
        return float(np.quantile(after, ATTRIBUTED)) if len(after) >= ENOUGH else None


def check(clicks: Clicks, settings: MonitorSettings, level: float) -> Check | Skipped:
    """Whether something is taken from fewer lists than in the windows before, by a one-sided exact test."""
    wait = clicks.wait()
    if wait is None:
        told = f"Before the window users took something from fewer than {ENOUGH} lists of this release."
        return Skipped(name=NAME, reason=told)
    sides = [_of_age(side, clicks.until, wait) for side in (clicks.before, clicks.now)]
    counts = [_counts(side, wait) for side in sides]
    rows = [int(count.sum()) for count in counts]
    if rows[1] < settings.min_rows:
        told = f"{rows[1]:,} lists are older than the {wait:.0f} s that feedback takes; {settings.min_rows} are needed."
        return Skipped(name=NAME, reason=told)
    was, now = (count[0] / total for count, total in zip(counts, rows, strict=True))
    reason = f"Users took something from {now:.1%} of {rows[1]:,} lists, from {was:.1%} in the windows before."
    evidence = {
        "categories": [*map(str, range(1, PLACES + 1)), f"after {PLACES}"],
        **{name: _places(side, wait) for name, side in zip(("reference", "current"), sides, strict=True)},
    }
    return lost(NAME, "click-through lost", (counts[0], counts[1]), settings, level, reason, evidence)


def figure(clicks: Clicks) -> Figure | None:
    """The share of the window's lists from which something was taken, with its interval; None where it is not known."""
    wait = clicks.wait()
    if wait is None:
        return None
    taken, left = _counts(_of_age(clicks.now, clicks.until, wait), wait).tolist()
    return accuracy(taken, taken + left)


def _of_age(side: Shown, until: int, wait: float) -> Shown:
    old = side.time <= until - 1e6 * wait
    return Shown(side.time[old], side.place[old], side.after[old])


def _counts(side: Shown, wait: float) -> NDArray[np.int64]:
    """Lists from which something was taken in time, and the others."""
    taken = int(_in_time(side, wait).sum())
    return np.array([taken, len(side.time) - taken], np.int64)


def _in_time(side: Shown, wait: float) -> NDArray[np.bool_]:
    return (side.place > 0) & (np.nan_to_num(side.after, nan=np.inf) <= wait)


def _places(side: Shown, wait: float) -> list[float]:
    """Of the items taken in time, the share at each place of a list."""
    places = np.minimum(side.place[_in_time(side, wait)], PLACES + 1)
    counts = np.bincount(places, minlength=PLACES + 2)[1:]
    return [round(float(share), 6) for share in counts / max(1, counts.sum())]
