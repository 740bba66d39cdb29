"""What users did, in the order of time, and what of it should be found."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tasks.core.errors import DataError
from tasks.kinds.rank.shared.history import LIKED, PADDING, Indices, Tastes

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["id", "group", "label", "rating_mean", "created_at"]


@dataclass(frozen=True)
class Events:
    """The events of users, one user after the other, each user's by time and id; user i has those from starts[i] on."""

    users: list[str]
    starts: Indices
    """[users + 1]"""
    items: Indices
    """[events], by number."""
    ratings: NDArray[np.float64]
    """[events], NaN where there is none."""
    classes: Indices
    """[events], how each was rated (tasks.kinds.rank.shared.history)."""
    times: NDArray[np.float64]
    """[events], seconds."""

    @property
    def counts(self) -> Indices:
        """[users]"""
        return np.diff(self.starts)

    @property
    def liked(self) -> NDArray[np.bool_]:
        """[events]"""
        found: NDArray[np.bool_] = self.classes == LIKED
        return found

    def owners(self) -> Indices:
        """[events], the user of each."""
        return np.repeat(np.arange(len(self.users)), self.counts)

    def before(self, users: Indices, cuts: Indices, longest: int) -> tuple[Indices, Indices]:
        """Items and classes [rows, places] of the last `longest` of users' first `cuts` events, the latest first."""
        places = np.arange(max(1, min(longest, int(cuts.max(initial=1)))))
        at = self.starts[users][:, None] + cuts[:, None] - 1 - places
        there = places < cuts[:, None]
        at = np.where(there, at, 0)
        return np.where(there, self.items[at], 0), np.where(there, self.classes[at], PADDING)

    def span(self, users: Indices, first: Indices, last: Indices) -> tuple[Indices, Indices]:
        """Rows of `users`, and events of theirs from `first` up to before `last`, both counted within the user."""
        sizes = np.maximum(last - first, 0)
        rows = np.repeat(np.arange(len(users)), sizes)
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return rows, np.repeat(self.starts[users] + first, sizes) + within


def events(frame: "pd.DataFrame", labels: list[str], tastes: Tastes) -> Events:
    """The events of a table with COLUMNS; rows of no user say nothing here.

    Raises DataError where none is left, or a label is not known.
    """
    import pandas as pd

    rows = frame.dropna(subset=["group"]).sort_values(["group", "created_at", "id"], kind="stable")
    if rows.empty:
        raise DataError("No row says whose it is. Map the column of users as `group` in the line's sources.")
    items = pd.Index(labels).get_indexer(pd.Index(rows["label"]))
    if (items < 0).any():
        strange = sorted(set(rows["label"][items < 0]))
        raise DataError(f"Items that are no labels: {', '.join(strange[:5])}. Run label again.")
    users, first = np.unique(rows["group"].to_numpy(dtype=object).astype(str), return_index=True)
    ratings = np.array(rows["rating_mean"], dtype=np.float64)
    times = np.array((rows["created_at"] - pd.Timestamp(0, tz="UTC")).dt.total_seconds(), dtype=np.float64)
    starts = np.append(np.sort(first), len(rows)).astype(np.int64)
    return Events(users.tolist(), starts, items.astype(np.int64), ratings, tastes.classes(ratings), times)
