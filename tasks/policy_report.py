"""What the text policy did to rows: how many each of its steps changed, and how many were left out."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from tasks.text import TextSettings, to_drop, trace


class Treated:
    """Applies the policy to rows and counts what it did."""

    def __init__(self, settings: TextSettings) -> None:
        self.settings = settings
        self.changed: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()

    def rows(self, texts: Sequence[str | None]) -> tuple[list[str | None], list[bool]]:
        """The cleaned texts, and which rows stay: those without personal data of a kind that is set to `drop`."""
        cleaned: list[str | None] = []
        kept: list[bool] = []
        for given in texts:
            text, steps = (None, ()) if given is None else trace(given, self.settings)
            kind = None if text is None else to_drop(text, self.settings)
            self.changed.update(steps)
            self.dropped.update([kind] if kind else [])
            cleaned.append(text)
            kept.append(kind is None)
        return cleaned, kept

    def told(self) -> dict[str, Any]:
        """`changed` (rows by step; a row may count in several) and `dropped` (rows by kind of personal data)."""
        return {"changed": dict(sorted(self.changed.items())), "dropped": dict(sorted(self.dropped.items()))}


def total(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The sums of several `told`; batches of before these counts have none."""
    changed: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    for part in parts:
        changed.update(part.get("changed", {}))
        dropped.update(part.get("dropped", {}))
    return {"changed": dict(sorted(changed.items())), "dropped": dict(sorted(dropped.items()))}
