"""Numbers that describe a text: what it is made of, and how long it is to a tokenizer."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

URL = re.compile(r"https?://\S|www\.\S", re.I)
EMOJI = re.compile("[\u2600-\u27bf\U0001f300-\U0001faff]")
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_HAN = re.compile("[\u3400-\u9fff]")


def _share(is_one: Callable[[str], bool]) -> Callable[[str], float]:
    return lambda text: sum(map(is_one, text)) / max(1, len(text))


SHARES: dict[str, Callable[[str], float]] = {
    "capital letters": _share(str.isupper),
    "digits": _share(str.isdigit),
    "punctuation": _share(lambda char: not (char.isalnum() or char.isspace())),
    "not ASCII": _share(lambda char: not char.isascii()),
}
"""Shares of a text's characters."""

MARKS: dict[str, Callable[[str], bool]] = {
    "a web address": lambda text: bool(URL.search(text)),
    "an emoji": lambda text: bool(EMOJI.search(text)),
    "a question mark": lambda text: "?" in text or "？" in text,
    "an exclamation mark": lambda text: "!" in text or "！" in text,
}
"""What a text has or has not."""


def words(texts: Sequence[str]) -> Counter[str]:
    """In how many of the texts a word occurs, without case; in Chinese and Japanese pairs of characters."""
    counts: Counter[str] = Counter()
    for text in texts:
        found = {word.casefold() for word in _WORD.findall(text)}
        wide = {run[n : n + 2] for run in found if _HAN.match(run) for n in range(len(run) - 1)}
        counts.update({word for word in found if not _HAN.match(word)} | wide)
    return counts


def token_counts(texts: Sequence[str], tokenizer: Path) -> list[int]:
    """Tokens of each text with a tokenizer.json, special tokens included."""
    from tokenizers import Tokenizer

    reader = Tokenizer.from_file(str(tokenizer))
    reader.no_padding()
    reader.no_truncation()
    return [len(encoding) for encoding in reader.encode_batch_fast(list(texts))]
