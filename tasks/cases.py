"""The cases that behaviour tests stand for: templates filled, texts changed. Pure, and the same for the same seed."""

import math
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tasks.behaviour import Changing, Fairness, Minimum, Suite, Test, slots

Values = Mapping[str, Sequence[Any]]
Pair = tuple[str, str, str]
"""Where a text comes from (template or row), the text, the changed text."""

_WORD = re.compile(r"[^\W\d_]{4,}")
_END = ".!…。！ "  # not `?`: without it a question is another sentence


class Case(NamedTuple):
    """A text to be labelled; `original` is the text before the change, None where nothing was changed."""

    test: str
    template: str  # or the id of a test row
    number: int  # the texts of a test with one number stand or fall together
    text: str
    original: str | None


def expand(suite: Suite, rows: Mapping[str, str], most: int, seed: int) -> list[Case]:
    """The cases of every test, at most `most` of each but of those with `test_rows`, which say so themselves.

    `rows` are test texts by id. A test's cases depend on the seed and on its own name and content alone.
    """
    return [case for test in suite.tests for case in _cases(test, suite.values(test), rows, most, seed)]


def _cases(test: Test, values: Values, rows: Mapping[str, str], most: int, seed: int) -> Iterator[Case]:
    rng = np.random.default_rng([seed, zlib.crc32(test.name.encode())])
    if isinstance(test, Minimum):
        for number, (template, filling) in enumerate(fillings(test.templates, values, most, rng)):
            yield Case(test.name, template, number, template.format_map(filling), None)
    elif isinstance(test, Fairness):
        yield from _fair(test, values, most, rng)
    else:
        pairs = _from_rows(test, values, rows, rng) if test.test_rows else _filled(test, values, most, rng)
        different = ((where, before, after) for where, before, after in pairs if before != after)
        for number, (where, before, after) in enumerate(different):
            yield Case(test.name, where, number, after, before)


def _fair(test: Fairness, values: Values, most: int, rng: np.random.Generator) -> Iterator[Case]:
    """One sentence with the first term of the group against the same with each other term."""
    first, *others = values[test.swap]
    drawn = fillings(test.templates, {**values, test.swap: [first]}, most, rng)
    for number, (template, filling) in enumerate(drawn):
        before = template.format_map(filling)
        for term in others:
            yield Case(test.name, template, number, template.format_map({**filling, test.swap: term}), before)


def _filled(test: Changing, values: Values, most: int, rng: np.random.Generator) -> Iterator[Pair]:
    templates = test.templates or ()
    if test.append:
        whole = {f"{template} {tail}": template for template in templates for tail in test.append}
        for longer, filling in fillings(list(whole), values, most, rng):
            yield whole[longer], whole[longer].format_map(filling), longer.format_map(filling)
        return
    for number, (template, filling) in enumerate(fillings(templates, {**values, **test.pairs}, most, rng)):
        before, after = _changed(test, values, filling, rng)
        text = template.format_map(before)
        yield template, text, _perturbed(test, text, number, rng) if test.perturb else template.format_map(after)


def _changed(
    test: Changing, values: Values, filling: dict[str, Any], rng: np.random.Generator
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The values of the slots before and after the change of `swap` or `pairs`."""
    slot = test.changed()
    if slot is None:
        return filling, filling
    if test.pairs:
        old, new = filling[slot]
    else:
        old = filling[slot]
        new = str(rng.choice([value for value in values[slot] if value != old]))
    return {**filling, slot: old}, {**filling, slot: new}


def _from_rows(test: Changing, values: Values, rows: Mapping[str, str], rng: np.random.Generator) -> Iterator[Pair]:
    ids = list(rows)
    for number, place in enumerate(np.sort(rng.choice(len(ids), min(test.test_rows or 0, len(ids)), replace=False))):
        text = rows[ids[place]]
        if test.perturb:
            yield ids[place], text, _perturbed(test, text, number, rng)
        else:
            ((tail, filling),) = fillings([test.append[number % len(test.append)]], values, 1, rng)
            yield ids[place], text, f"{text} {tail.format_map(filling)}"


def fillings(
    templates: Sequence[str], values: Values, most: int, rng: np.random.Generator
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Templates with a value for each of their slots: `most` different ones, as many of each template as there are."""
    named = [slots(template) for template in templates]
    shapes = [tuple(len(values[slot]) for slot in names) for names in named]
    sizes = [math.prod(shape) for shape in shapes]
    for template, names, shape, share in zip(templates, named, shapes, shares(sizes, most), strict=True):
        for number in np.sort(rng.choice(math.prod(shape), share, replace=False)):
            places = np.unravel_index(number, shape)
            yield template, {slot: values[slot][place] for slot, place in zip(names, places, strict=True)}


def shares(sizes: Sequence[int], most: int) -> list[int]:
    """`most` dealt out as evenly as `sizes` allow; all of it where they hold no more."""
    left, dealt = min(most, sum(sizes)), [0] * len(sizes)
    for rank, place in enumerate(sorted(range(len(sizes)), key=sizes.__getitem__)):
        dealt[place] = min(sizes[place], left // (len(sizes) - rank))
        left -= dealt[place]
    return dealt


def _perturbed(test: Changing, text: str, number: int, rng: np.random.Generator) -> str:
    return PERTURBATIONS[test.perturb[number % len(test.perturb)]](text, rng)


def typos(text: str, rng: np.random.Generator) -> str:
    """Two neighbouring letters change places in a word of four or more; its first letter stays."""
    places = [
        at
        for word in _WORD.finditer(text)
        for at in range(word.start() + 1, word.end() - 1)
        if text[at] != text[at + 1]
    ]
    if not places:
        return text
    at = int(rng.choice(places))
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def casing(text: str, rng: np.random.Generator) -> str:
    """All in capitals or all in small letters."""
    return _other(text, [text.upper(), text.lower()], rng)


def punctuation(text: str, rng: np.random.Generator) -> str:
    """Another end of the sentence: bare, with a full stop, dots or an exclamation mark. A question stays."""
    bare = text.rstrip(_END)
    return text if bare.endswith("?") else _other(text, [bare, f"{bare}.", f"{bare}...", f"{bare}!"], rng)


def _other(text: str, ways: list[str], rng: np.random.Generator) -> str:
    others = [way for way in ways if way != text]
    return str(rng.choice(others)) if others else text


PERTURBATIONS: dict[str, Callable[[str, np.random.Generator], str]] = {
    "typos": typos,
    "casing": casing,
    "punctuation": punctuation,
}
