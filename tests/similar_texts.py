"""Texts that have nothing to do with one another, and edited copies of them."""

import numpy as np

SYLLABLES = ["ba", "ce", "do", "fi", "gul", "har", "jen", "ko", "lim", "mor", "nep", "or", "pa", "qui", "ras", "sto"]


def english(count, rng):
    """Sentences of 5 to 20 invented words, each set in lower case."""
    words = np.array(["".join(rng.choice(SYLLABLES, rng.integers(1, 4))) for _ in range(3000)])
    return [" ".join(rng.choice(words, rng.integers(5, 21))) for _ in range(count)]


def chinese(count, rng):
    """Runs of 15 to 80 Chinese characters, common ones more often than rare ones."""
    characters = np.array([chr(code) for code in range(0x4E00, 0x4E00 + 2000)])
    weights = 1 / np.arange(10, 2010)
    return ["".join(rng.choice(characters, rng.integers(15, 81), p=weights / weights.sum())) for _ in range(count)]


def edited(text, share, rng):
    """The text with so large a share of its characters inserted, deleted or replaced, at random places."""
    letters = list(text)
    for _ in range(max(1, round(share * len(text)))):
        place, other = rng.integers(len(letters)), text[rng.integers(len(text))]
        match rng.integers(3):
            case 0:
                letters.insert(place, other)
            case 1 if len(letters) > 1:
                del letters[place]
            case _:
                letters[place] = other
    return "".join(letters)
