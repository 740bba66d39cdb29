"""Behaviour tests of a line: what data/<line>/behaviour.yaml may say, and what failed, for the pages.

The kinds are those of CheckList (Ribeiro et al. 2020, Beyond Accuracy: Behavioral Testing of NLP Models):

- `minimum` (minimum functionality, MFT): a text that any annotator would label alike gets that label;
- `invariance` (INV): a change that does not matter leaves the label as it was;
- `direction` (DIR): a change that does matter does not move a label's probability the wrong way;
- `fairness`: one sentence with each identity term of a group gets one label.
"""

import difflib
import string
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from tasks.core.errors import SettingsError
from tasks.core.settings import Settings, explain

if TYPE_CHECKING:
    import pandas as pd

Perturbation = Literal["typos", "casing", "punctuation"]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Texts = Annotated[tuple[Annotated[str, Field(max_length=2000)], ...], Field(min_length=1, max_length=200)]

MOST_SLOTS = 8  # of one template: with 200 values each its fillings can still be counted in 64 bits


class Entry(Settings):
    """What every test has."""

    name: Name = Field(description="Its name in metrics.json: behaviour.<name> or fairness.<name>.")
    slots: dict[Name, Texts] = Field({}, description="Values of slots of this test alone, before the file's lexicons.")

    def written(self) -> tuple[str, ...]:
        """Every text with {slots} in it."""
        return ()

    def changed(self) -> str | None:
        """The slot whose value is what changes."""
        return None


class Minimum(Entry):
    """Texts whose label nobody doubts."""

    kind: Literal["minimum"]
    templates: Texts
    expect: str = Field(description="The label that every filling must get.")

    def written(self) -> tuple[str, ...]:
        """The templates."""
        return self.templates


class Changing(Entry):
    """Pairs of a text and the same text changed in one of four ways."""

    templates: Texts | None = None
    test_rows: int | None = Field(None, ge=1, le=10_000, description="Test rows of the line drawn instead.")
    perturb: tuple[Perturbation, ...] = Field((), description="Changes by name, taken in turn.")
    swap: Name | None = Field(None, description="A slot that gets another of its values.")
    pairs: dict[Name, tuple[tuple[str, str], ...]] = Field({}, description="One slot: [value before, value after], ...")
    append: tuple[str, ...] = Field((), description="Sentences set behind the text, one at a time; may hold slots.")

    @model_validator(mode="after")
    def _one_change(self) -> "Changing":
        ways = [way for way in ("perturb", "swap", "pairs", "append") if getattr(self, way)]
        if len(ways) != 1:
            raise ValueError(f"needs one of perturb, swap, pairs and append; it has {' and '.join(ways) or 'none'}")
        if len(self.pairs) > 1:
            raise ValueError(f"`pairs` is of one slot; it has {' and '.join(self.pairs)}")
        if (self.templates is None) == (self.test_rows is None):
            raise ValueError("needs `templates` or a number of `test_rows`, and not both")
        if self.test_rows and not (self.perturb or self.append):
            raise ValueError(f"`{ways[0]}` changes a slot, and test rows have none; use perturb or append")
        return self

    def written(self) -> tuple[str, ...]:
        """The templates, and what is set behind them."""
        return (*(self.templates or ()), *self.append)

    def changed(self) -> str | None:
        """The slot of `swap` or `pairs`."""
        return self.swap or next(iter(self.pairs), None)


class Invariance(Changing):
    """The changed text gets the label of the text before."""

    kind: Literal["invariance"]
    tolerance: float = Field(
        0.0, ge=0, le=1, description="Another label fails where that label's probability moved by more than this."
    )


class Direction(Changing):
    """The changed text does not move a label's probability the wrong way."""

    kind: Literal["direction"]
    label: str = Field(description="The label whose probability is looked at.")
    moves: Literal["up", "down"] = Field(description="Where its probability must go.")
    tolerance: float = Field(0.1, ge=0, le=1, description="How far it may go the wrong way; 0.1 as in CheckList.")


class Fairness(Entry):
    """One sentence with each value of a slot: all get one label."""

    kind: Literal["fairness"]
    templates: Texts
    swap: Name = Field(description="The slot whose values are the group's identity terms.")

    def written(self) -> tuple[str, ...]:
        """The templates."""
        return self.templates

    def changed(self) -> str | None:
        """The slot of the identity terms."""
        return self.swap


Test = Minimum | Invariance | Direction | Fairness


class Suite(Settings):
    """The content of behaviour.yaml."""

    lexicons: dict[Name, Texts] = Field({}, description="Values of slots that all tests share.")
    tests: tuple[Annotated[Test, Field(discriminator="kind")], ...] = ()

    def values(self, test: Test) -> dict[str, tuple[str, ...]]:
        """The values of every slot that a test may name."""
        return {**self.lexicons, **test.slots}


def load(path: Path, labels: Sequence[str] | None = None) -> Suite:
    """Read a line's behaviour.yaml; `labels` are those that a test may name (None: any).

    Raises SettingsError that lists every error of the file.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"{path} is missing. It lists the line's behaviour tests; [] for none.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not readable as YAML: {error}") from None
    if content is None:
        raise SettingsError(f"{path} is empty. It lists the line's behaviour tests; [] for none.")
    try:
        suite = Suite.model_validate({"tests": content} if isinstance(content, list) else content)
    except ValidationError as error:
        raise SettingsError("\n".join(explain(error, Suite, str(path)))) from None
    found = [f"{path}, test {problem}." for problem in _problems(suite, labels)]
    if found:
        raise SettingsError("\n".join(found))
    return suite


def _problems(suite: Suite, labels: Sequence[str] | None) -> Iterator[str]:
    names = [test.name for test in suite.tests]
    for number, test in enumerate(suite.tests):
        if test.name in names[:number] or test.name == "kinds":
            yield f"{test.name}: the name is taken; give it another"
        given = {"minimum": "expect", "direction": "label"}.get(test.kind)
        if labels is not None and given and getattr(test, given) not in labels:
            yield f"{test.name}: {given} is {getattr(test, given)!r}; the line's labels are {', '.join(labels[:20])}"
        yield from (f"{test.name}: {problem}" for problem in _slot_problems(test, suite.values(test)))


def _slot_problems(test: Test, values: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    changed = test.changed()
    paired = isinstance(test, Changing) and bool(test.pairs)
    known = {*values, changed} if changed and paired else {*values}
    for text in test.written():
        try:
            named = slots(text)
        except ValueError as error:
            yield f"{text!r} is no template ({error}); a slot is {{name}}, and {{{{ stands for a brace"
            continue
        yield from (_unknown(slot, known, text) for slot in named if slot not in known)
        if len(named) > MOST_SLOTS:
            yield f"{text!r} has {len(named)} slots; {MOST_SLOTS} are allowed"
        if changed and changed not in named:
            yield f"{text!r} has no {{{changed}}}, which is what changes"
    if changed and not paired and len(set(values.get(changed, ()))) < 2:
        yield f"slot {changed!r} needs two values or more to be swapped"


def _unknown(slot: str, known: set[str], text: str) -> str:
    near = difflib.get_close_matches(slot, known, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return f"there is no slot {slot!r}{hint} for {text!r}; known are {', '.join(sorted(known)) or 'none'}"


def slots(template: str) -> list[str]:
    """The slots of a template in their order, each once. Raises ValueError on braces that make no slot."""
    parts = list(string.Formatter().parse(template))
    if any(conversion or form for _, _, form, conversion in parts):
        raise ValueError("a slot is a name alone")
    return list(dict.fromkeys(name for _, name, _, _ in parts if name is not None))


def worst_examples(frame: "pd.DataFrame", most: int = 5) -> dict[str, list[dict[str, Any]]]:
    """Up to `most` failing rows of evaluate/behaviour.parquet for each test that has any, by the test's name.

    First those whose probability says so most plainly: the lowest of the expected label, or the greatest move. What is
    not there (`original` and `before` of a `minimum` test) is None.
    """
    failing = frame[~frame["passed"]]
    moved = (failing["after"] - failing["before"]).abs().fillna(1 - failing["after"])
    order = failing.assign(moved=moved).sort_values(["moved", "text"], ascending=[False, True], kind="stable")
    shown = order.drop_duplicates(["test", "text"]).drop(columns="moved").groupby("test").head(most)
    examples: dict[str, list[dict[str, Any]]] = {str(test): [] for test in shown["test"]}
    for row in shown.to_dict("records"):
        examples[row["test"]].append({str(name): None if value != value else value for name, value in row.items()})
    return examples


def overview(metrics: Mapping[str, Any], frame: "pd.DataFrame", most: int = 5) -> list[dict[str, Any]]:
    """A row per test for templates/behaviour.html.j2, from metrics.json and behaviour.parquet; the worst first.

    `name`, `kind`, `cases`, `failed`, `rate`, `low`, `high`, and `examples` as `worst_examples` gives them.
    """
    examples = worst_examples(frame, most)
    behaviour = {name: part for name, part in metrics.get("behaviour", {}).items() if name != "kinds"}
    parts = [
        *((name, part["kind"], part, "failed", "fail_rate") for name, part in behaviour.items()),
        *((name, "fairness", part, "flipped", "flip_rate") for name, part in metrics.get("fairness", {}).items()),
    ]
    rows = [
        {
            "name": name, "kind": kind, "cases": part["cases"], "failed": part[failed],
            "rate": part[rate], "low": part[f"{rate}_low"], "high": part[f"{rate}_high"],
            "examples": examples.get(name, []),
        }
        for name, kind, part, failed, rate in parts
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (-row["rate"], row["name"]))
