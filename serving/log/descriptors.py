"""What can be told of texts without keeping them: length, words, script. No personal data, any language."""

import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

_BLOCKS = (  # where a script's blocks begin in Unicode; a script may come twice
    (0x0000, "latin"), (0x0370, "greek"), (0x0400, "cyrillic"), (0x0530, "other"), (0x0590, "hebrew"),
    (0x0600, "arabic"), (0x07C0, "other"), (0x08A0, "arabic"), (0x0900, "indic"), (0x0E00, "thai"), (0x0E80, "other"),
    (0x1100, "hangul"), (0x1200, "other"), (0x1C80, "cyrillic"), (0x1C90, "other"), (0x1E00, "latin"),
    (0x1F00, "greek"), (0x2000, "other"), (0x2C60, "latin"), (0x2C80, "other"), (0x2DE0, "cyrillic"),
    (0x2E00, "other"), (0x2E80, "han"), (0x3040, "kana"), (0x3100, "han"), (0x3130, "hangul"), (0x3190, "han"),
    (0x31F0, "kana"), (0x3200, "other"), (0x3400, "han"), (0xA000, "other"), (0xA720, "latin"), (0xA800, "other"),
    (0xA8E0, "indic"), (0xA900, "other"), (0xAC00, "hangul"), (0xD800, "other"), (0xF900, "han"), (0xFB00, "latin"),
    (0xFB13, "other"), (0xFB1D, "hebrew"), (0xFB50, "arabic"), (0xFE00, "other"), (0xFE70, "arabic"),
    (0xFF00, "latin"), (0xFF66, "kana"), (0xFFA0, "hangul"), (0xFFDD, "other"), (0x20000, "han"), (0x40000, "other"),
)  # fmt: skip
_STARTS = [start for start, _ in _BLOCKS]
SCRIPTS = ("other", *sorted({script for _, script in _BLOCKS} - {"other"}))
_SPACE, _MARK = " ", "."


@dataclass(frozen=True)
class Descriptors:
    """Of some texts, in their order."""

    characters: list[int]
    words: list[int]
    """What spaces set apart; 1 for a sentence in a script without spaces."""
    non_letters: list[float]
    """Share of digits, punctuation and symbols among the characters that are no spaces."""
    script: list[str]
    """The script of most letters; empty for a text without letters."""
    script_share: list[float]
    """Its share of the letters."""


def describe(texts: Sequence[str]) -> Descriptors:
    """Look at every character: some 2 us for a sentence."""
    classes = "".join(texts).translate(_CLASSES)  # at once: a call costs as much as a sentence
    ends = list(accumulate(map(len, texts)))
    parts = [classes[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    columns = list(zip(*map(_describe, texts, parts), strict=True)) or [()] * 5
    return Descriptors(*map(list, columns))


def _describe(text: str, classes: str) -> tuple[int, int, float, str, float]:
    length, marks = len(text), classes.count(_MARK)
    visible = length - classes.count(_SPACE)
    script, letters = _most(classes, visible - marks)
    return (
        length,
        len(text.split()),
        round(marks / visible, 4) if visible else 0.0,
        script,
        round(letters / (visible - marks), 4) if letters else 0.0,
    )


def _most(classes: str, letters: int) -> tuple[str, int]:
    """The script of most letters and how many there are."""
    if (latin := classes.count(_LATIN)) * 2 > letters:
        return "latin", latin
    counts = {script: classes.count(chr(_FIRST + n)) for n, script in enumerate(SCRIPTS)}
    best = max(SCRIPTS, key=lambda script: counts[script])
    return (best, counts[best]) if letters else ("", 0)


class _Classes(dict[int, str]):
    """What stands for a character: a space, a mark, or the letter of its script. Filled as characters are met."""

    def __missing__(self, code: int) -> str:
        if chr(code).isspace():
            found = _SPACE
        elif unicodedata.category(chr(code))[0] in "LM":  # vowel signs of Indic scripts and Thai are marks to Unicode
            found = chr(_FIRST + SCRIPTS.index(_BLOCKS[bisect_right(_STARTS, code) - 1][1]))
        else:
            found = _MARK
        return self.setdefault(code, found)


_FIRST = ord("a")
_LATIN = chr(_FIRST + SCRIPTS.index("latin"))
_CLASSES = _Classes()
