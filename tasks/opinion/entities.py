"""Entities in a text: by names and aliases whatever their case, by tickers as exchanges write them."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.opinion.settings import EntitySettings

BARE = 3
"""Signs from which on a ticker counts without a mark: shorter ones are words too often (A, IT, ON)."""
SHOUTED = 0.6
"""Share of capitals among the letters from which on a text is all capitals, and a bare ticker a word like any other."""

# Scripts that set no spaces between words: a name ends where it ends.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_SPACED = re.compile(rf"[^\W_{_UNSPACED}]")
_BEFORE, _AFTER = rf"(?<![^\W_{_UNSPACED}])", rf"(?![^\W_{_UNSPACED}])"


def plain(text: str) -> str:
    """As names are compared: one width, one case, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


class Matcher:
    """Finds entities. Of names that overlap the one that begins first counts, and of these the longest.

    `Bank of America` is no `America`. A name in a script with spaces is a whole word; in Chinese, Japanese, Thai and
    the like it may stand anywhere. A possessive is no other word: `Nokia's`.
    """

    def __init__(self, entities: Mapping[str, "EntitySettings"]) -> None:
        self.names: dict[str, str] = {}
        self.tickers: dict[str, str] = {}
        bare: list[str] = []
        for entity, settings in entities.items():
            self.names |= dict.fromkeys(map(plain, (entity, *settings.aliases)), entity)
            self.tickers |= dict.fromkeys(settings.tickers, entity)
            if settings.bare_tickers:
                bare += [ticker for ticker in settings.tickers if len(ticker) >= BARE]
        self._name = words(self.names)
        self._marked = _tickers(self.tickers, r"(?:\$|\(|[A-Z]{2,8}:\s?)", r"(?![\w])")
        self._bare = _tickers(bare, r"(?<![\w$.-])", r"(?![\w-]|\.\w)")

    def find(self, text: str) -> list[str]:
        """The entities that a text names, each once, sorted."""
        found = {self.names[match[0]] for match in self._name.finditer(plain(text))} if self._name else set()
        for pattern in (self._marked, None if shouted(text) else self._bare):
            if pattern is not None:
                found |= {self.tickers[match[1]] for match in pattern.finditer(text)}
        return sorted(found)


def words(phrases: Iterable[str]) -> re.Pattern[str] | None:
    """A pattern that finds whole words and phrases in a text that `plain` made; None for none."""
    known = {plain(phrase) for phrase in phrases} - {""}
    set_apart = {phrase for phrase in known if _SPACED.match(phrase[0])}
    parts = [f"{before}{_trie(some)}" for before, some in ((_BEFORE, set_apart), ("", known - set_apart)) if some]
    return re.compile("|".join(parts)) if parts else None


def shared(entities: Mapping[str, "EntitySettings"]) -> dict[str, list[str]]:
    """Names and tickers that belong to more than one entity, with these."""
    owners: dict[str, set[str]] = {}
    for entity, settings in entities.items():
        for name in (*map(plain, (entity, *settings.aliases)), *settings.tickers):
            owners.setdefault(name, set()).add(entity)
    return {name: sorted(its) for name, its in owners.items() if len(its) > 1}


def shouted(text: str) -> bool:
    """Whether a text is written in capitals: then a bare ticker could be any word."""
    letters = [sign for sign in text if sign.isalpha() and sign.upper() != sign.lower()]
    return len(letters) > 12 and sum(map(str.isupper, letters)) > SHOUTED * len(letters)


def _trie(phrases: Iterable[str]) -> str:
    """Phrases by their first sign, and so on: thousands cost hardly more than ten, and the longest is tried first."""
    by_first: dict[str, set[str]] = {}
    for phrase in phrases:
        by_first.setdefault(phrase[0], set()).add(phrase[1:])
    parts = [re.escape(sign) + _rest(sign, by_first[sign]) for sign in sorted(by_first)]
    return parts[0] if len(parts) == 1 else f"(?:{'|'.join(parts)})"


def _rest(sign: str, rests: set[str]) -> str:
    end = [_AFTER if _SPACED.match(sign) else ""] if "" in rests else []
    longer = [_trie(rests - {""})] if rests - {""} else []
    return (longer + end)[0] if len(longer + end) == 1 else f"(?:{'|'.join(longer + end)})"


def _tickers(tickers: Iterable[str], before: str, after: str) -> re.Pattern[str] | None:
    known = sorted(tickers, key=lambda ticker: (-len(ticker), ticker))
    return re.compile(f"{before}({'|'.join(map(re.escape, known))}){after}") if known else None
