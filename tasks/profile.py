"""What a line's rows are like, as plain numbers: the content of the profile page and the ground of the proposal."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks import boilerplate, duplicates, languages
from tasks.descriptors import MARKS, SHARES, token_counts
from tasks.masks import PLACEHOLDERS
from tasks.scan import Scan, quantiles
from tasks.similar import NearSettings

if TYPE_CHECKING:
    import numpy as np

SCHEMA = 1
QUANTILES = ("least", "5 %", "median", "95 %", "99 %", "most")
MOST = 40  # labels, languages and sources that are named; the rest are counted together
OTHERS = "(others)"
SURE = 0.8  # certainty from which a language counts as told


@dataclass(frozen=True)
class Sampled:
    """What was computed for each row of the sample: the ground of histograms and of drift."""

    characters: "np.ndarray"
    words: "np.ndarray"
    tokens: "np.ndarray | None"
    languages: list[str]
    shares: dict[str, "np.ndarray"]
    marks: dict[str, "np.ndarray"]


def describe(found: Scan, tokenizer: Path | None, max_length: int) -> tuple[dict[str, Any], Sampled]:
    """The profile of a scanned table as JSON (without any text but boilerplate), and the sample's numbers.

    `tokenizer` is a tokenizer.json whose tokens are counted, where there is one; texts of more than `max_length` tokens
    are cut in training and serving.
    """
    texts = found.sample["text"].fillna("").tolist()
    sampled = _sampled(texts, tokenizer)
    profile = {
        "schema_version": SCHEMA,
        "rows": found.rows,
        "sampled": len(texts),
        "missing": {name: found.missing[name] for name in found.columns},
        "blank_texts": found.blank,
        "sources": _most(found.sources),
        "labels": _most(found.labels),
        "months": [[source, month, n] for (source, month), n in sorted(found.months.items())],
        "ratings": found.ratings,
        "lengths": _lengths(found, sampled),
        "cut": _cut(sampled, max_length),
        "languages": _most(Counter(sampled.languages)),
        "repeated_texts": found.repeated_texts,
        "repeated_ids": found.repeated_ids,
        "near_copies": _near(texts),
        "placeholders": {kind: found.placeholders[kind] for kind in PLACEHOLDERS},
        "shares": {name: float(values.mean()) for name, values in sampled.shares.items() if len(values)},
        "marks": {name: float(values.mean()) for name, values in sampled.marks.items() if len(values)},
        "boilerplate": [phrase._asdict() for phrase in boilerplate.find(texts)[:20]],
    }
    return profile, sampled


def _sampled(texts: list[str], tokenizer: Path | None) -> Sampled:
    import numpy as np

    told = [found.code if found.certainty >= SURE else "unsure" for found in languages.detect(texts)]
    return Sampled(
        characters=np.array([len(text) for text in texts]),
        words=np.array([len(text.split()) for text in texts]),
        tokens=np.array(token_counts(texts, tokenizer)) if tokenizer else None,
        languages=told,
        shares={name: np.array([share(text) for text in texts]) for name, share in SHARES.items()},
        marks={name: np.array([has(text) for text in texts]) for name, has in MARKS.items()},
    )


def _most(counts: Counter[str]) -> dict[str, int]:
    """The most frequent values; a label or a source that nobody expected may be one of thousands."""
    named = dict(counts.most_common(MOST))
    rest = counts.total() - sum(named.values())
    return named | ({OTHERS: rest} if rest else {})


def _lengths(found: Scan, sampled: Sampled) -> dict[str, list[int]]:
    """Quantiles as in QUANTILES: characters and words of all rows, tokens of the sample."""
    import numpy as np

    lengths = {"characters": quantiles(found.characters), "words": quantiles(found.words)}
    if sampled.tokens is not None and len(sampled.tokens):
        lengths["tokens"] = quantiles(np.bincount(sampled.tokens))
    return lengths


def _cut(sampled: Sampled, max_length: int) -> dict[str, Any]:
    if sampled.tokens is None or not len(sampled.tokens):
        return {}
    return {"max_length": max_length, "share": float((sampled.tokens > max_length).mean())}


def _near(texts: list[str]) -> int:
    """Near-copies among the sample, its exact copies left out."""
    copies = duplicates.exact(texts)
    return len(duplicates.near([text for n, text in enumerate(texts) if n not in copies], NearSettings()))


__all__ = ["MOST", "OTHERS", "QUANTILES", "SURE", "Sampled", "describe"]
