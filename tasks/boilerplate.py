"""Phrases that begin or end many texts and say nothing: found by how often they occur, taken off by the text policy."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

# scripts without spaces between words: there a phrase may touch what stands beside it
_WIDE = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]")
_UNITS = re.compile(f"{_WIDE.pattern}|[^\\s{_WIDE.pattern[1:-1]}]+")
LONGEST = 25  # words, or characters of Chinese, of a phrase that is looked for
SHORTEST = 3  # as many at least: shorter beginnings are how a language begins


class Phrase(NamedTuple):
    """A phrase at the beginning or the end of texts, and how many of them have it."""

    text: str
    place: str  # "begins" or "ends"
    texts: int


def stripper(phrases: Sequence[str]) -> Callable[[str], str]:
    """A step that takes the phrases off both ends of a text for as long as it has one there. Linear in its length.

    A phrase counts where a space or the end of the text is beside it, or where a script without spaces is.
    """
    known = sorted(filter(None, phrases), key=len, reverse=True)

    def stripped(text: str) -> str:
        start, end, before = 0, len(text), -1
        while before != end - start:
            before = end - start
            for phrase in known:
                after = start + len(phrase)
                if text.startswith(phrase, start, end) and (after == end or _free(phrase[-1], text[after])):
                    start = _past_spaces(text, after, end)
                ahead = end - len(phrase)
                if text.endswith(phrase, start, end) and (ahead == start or _free(phrase[0], text[ahead - 1])):
                    end = ahead
                    while end > start and text[end - 1].isspace():
                        end -= 1
        return text[start:end]

    return stripped


def find(texts: Iterable[str], share: float = 0.01, least: int = 20) -> list[Phrase]:
    """Phrases of 3 to 25 words (in Chinese: characters) that begin or end at least `share` of the texts, and `least`.

    Of phrases that hold each other the longest is named, unless a shorter one has twice as many texts. Copies of a
    text count once. Meant for some 20,000 texts: time and memory grow with their number.
    """
    known = list(dict.fromkeys(texts))
    spans = [[match.span() for match in _UNITS.finditer(text)] for text in known]
    units = [[text[a:b] for a, b in places] for text, places in zip(known, spans, strict=True)]
    needed = max(least, share * len(known))
    found = []
    for place, step in (("begins", 1), ("ends", -1)):
        for phrase, count, row in _common([row[::step] for row in units], needed):
            first, last = spans[row][::step][0], spans[row][::step][len(phrase) - 1]
            found.append(Phrase(known[row][min(first[0], last[0]) : max(first[1], last[1])], place, count))
    return sorted(found, key=lambda phrase: (-phrase.texts, phrase.text))


def _common(rows: list[list[str]], needed: float) -> list[tuple[tuple[str, ...], int, int]]:
    """Beginnings that at least `needed` of the rows share, how many, and the first such row."""
    kept: list[tuple[tuple[str, ...], int, int]] = []
    left = list(range(len(rows)))
    for size in range(SHORTEST, LONGEST + 1):
        with_it: dict[tuple[str, ...], list[int]] = {}
        for row in left:
            if len(rows[row]) > size:  # a text that is nothing else is no evidence
                with_it.setdefault(tuple(rows[row][:size]), []).append(row)
        common = {phrase: places for phrase, places in with_it.items() if len(places) >= needed}
        if not common:
            break
        longer: dict[tuple[str, ...], int] = {}
        for phrase, places in common.items():
            longer[phrase[:-1]] = max(len(places), longer.get(phrase[:-1], 0))
        kept = [entry for entry in kept if 2 * longer.get(entry[0], 0) <= entry[1]]
        kept += [(phrase, len(places), places[0]) for phrase, places in common.items()]
        left = [row for places in common.values() for row in places]
    return kept


def _free(edge: str, beside: str) -> bool:
    return beside.isspace() or bool(_WIDE.match(edge))


def _past_spaces(text: str, start: int, end: int) -> int:
    while start < end and text[start].isspace():
        start += 1
    return start
