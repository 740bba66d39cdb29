"""What the pages say, in English and Chinese: catalogues `words/<language>.json`, shared ones and each page's own."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from importlib.resources import files
from typing import Any

SHARED = "flows.web"
LANGUAGES = {"en": "English", "zh": "中文"}
COOKIE = "tidegate_language"
MINUTE, HOUR, DAY = 60, 3600, 86400


class Words:
    """A language's sentences, and how it writes figures and times."""

    def __init__(self, language: str, package: str) -> None:
        """The shared sentences, and those of a page's package, which stand in their place where both have one."""
        self.language = language
        self._said = catalogue(SHARED, language) | catalogue(package, language)

    def __call__(self, key: str, **values: Any) -> str:
        """The sentence of a key. Raises KeyError where there is none: a test looks for that."""
        return self._said[key].format(**{name: self._shown(value) for name, value in values.items()})

    def name(self, group: str, name: str) -> str:
        """The word for something that may be newer than this catalogue; then its own name."""
        return self._said.get(f"{group}.{name}", name)

    def list(self, group: str, names: Sequence[str]) -> str:
        """The words for some names, in a sentence."""
        return self("base.list").join(self.name(group, name) for name in names)

    def ago(self, time: datetime | str | None) -> str:
        """How long something is past."""
        if time is None:
            return self("time.never")
        when = datetime.fromisoformat(time) if isinstance(time, str) else time
        seconds = (datetime.now(UTC) - when).total_seconds()
        if seconds < -MINUTE:
            return self("time.ahead", time=moment(when))
        if seconds < MINUTE:
            return self("time.now")
        unit, size = next((u, s) for u, s in (("days", DAY), ("hours", HOUR), ("minutes", MINUTE)) if seconds >= s)
        count = int(seconds // size)
        return self(f"time.{unit if count > 1 else unit[:-1]}", n=count)

    def _shown(self, value: Any) -> str:
        if isinstance(value, datetime):
            return self.ago(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return f"{value:,}"
        return str(value)


def language_of(cookies: Mapping[str, str], accepted: str) -> str:
    """The language that somebody chose, else the first of ours that their browser names."""
    if (chosen := cookies.get(COOKIE)) in LANGUAGES:
        return str(chosen)
    wanted = []
    for part in accepted.split(",")[:20]:
        tag, _, weight = part.partition(";q=")
        try:
            wanted.append((-float(weight or 1), tag.strip().lower().partition("-")[0]))
        except ValueError:
            continue
    return next((tag for _, tag in sorted(wanted, key=lambda one: one[0]) if tag in LANGUAGES), "en")


def moment(time: datetime | str) -> str:
    """A time to the minute, UTC."""
    found = datetime.fromisoformat(time) if isinstance(time, str) else time
    return f"{found.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def percent(share: float) -> str:
    """0.859 as `85.9%`."""
    return f"{100 * share:.1f}%"


def points(share: float) -> str:
    """0.12 as `12.0`, of a hundred."""
    return f"{100 * share:.1f}"


def figure(value: float) -> str:
    """A figure with the digits that tell something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


@lru_cache
def catalogue(package: str, language: str) -> dict[str, str]:
    """The sentences of a package, by key."""
    text = files(package).joinpath("words", f"{language}.json").read_text(encoding="utf-8")
    found: dict[str, str] = json.loads(text)
    return found
