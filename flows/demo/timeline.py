"""What happened when: printed as it happens, kept as JSON, told once more at the end."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table


@dataclass
class Timeline:
    """Events and claims of one playing."""

    console: Console
    start: float = field(default_factory=time.monotonic)
    events: list[dict[str, Any]] = field(default_factory=list)
    claims: dict[str, bool] = field(default_factory=dict)

    def seconds(self) -> float:
        """Since the beginning."""
        return round(time.monotonic() - self.start, 1)

    def say(self, what: str, told: str, **figures: Any) -> None:
        """An event: a word, a sentence, and figures that only the JSON has."""
        seconds, now = self.seconds(), datetime.now(UTC).isoformat(timespec="seconds")
        self.events.append({"seconds": seconds, "time": now, "what": what, "told": told, **figures})
        self.console.print(f"[dim]{_clock(seconds)}[/dim]  [bold]{what}[/bold]: {escape(told)}", highlight=False)

    def claim(self, what: str, held: bool) -> None:
        """Something that should be so, and whether it is."""
        self.claims[what] = held

    def content(self) -> dict[str, Any]:
        """All of it, for a file."""
        return {"events": self.events, "claims": self.claims}

    def show(self) -> None:
        """Print it as two tables."""
        happened = Table("min:s", "what", "seen", title="What happened")
        for event in self.events:
            happened.add_row(_clock(event["seconds"]), event["what"], escape(event["told"]))
        claimed = Table("claim", "held", title="What should have happened")
        for what, held in self.claims.items():
            claimed.add_row(what, "yes" if held else "[bold red]no[/bold red]")
        self.console.print(happened, claimed)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60:3d}:{int(seconds) % 60:02d}"
