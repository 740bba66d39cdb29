"""The block of a new line, made of a kind's template and what is told of the line's files."""

import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

from flows.yaml_text import scalar
from tasks.core.errors import SettingsError
from tasks.report import TEMPLATES

COLUMNS: Mapping[str, Mapping[str, str]] = {
    "classify": {"text": "text", "label": "label"},
    "retrieve": {"text": "question", "label": "answer"},
    "rank": {"text": "text", "label": "item", "group": "user", "created_at": "time"},
}
"""By kind: the columns that a line is made of, and what they are called where nobody names them."""
OF_EVENTS = {"group": "--user", "created_at": "--time", "ratings": "--rating"}
"""Columns that lines of kind rank alone are made of, by the option that names each."""
STARS = (1.0, 5.0)
LIKED = 0.75  # of the way up the scale: four of five stars


@dataclass(frozen=True)
class Wanted:
    """A new line: from a block of a file, or from a source of rows."""

    name: str
    kind: str = "classify"
    source: str | None = None
    """A path, a glob or an address that fsspec knows; with `block` it takes the place of the first source's path."""
    labels: tuple[str, ...] = ()
    columns: tuple[tuple[str, str], ...] = ()
    """Ours and theirs, all of them; none: those of COLUMNS."""
    block: Path | None = None
    """A YAML file whose key `name`, or `lines: name`, is the block with its comments."""
    items: str | None = None
    """Of kind rank, a second source: the items themselves, whose columns of item and text are called as the first's."""
    scale: tuple[float, float] | None = None
    """Of kind rank: the lowest and the highest rating; none: STARS."""

    @property
    def of_template(self) -> list[str]:
        """The options given that a template is filled with: what a block of a file says itself."""
        named = {"text": "--text (--question)", "label": "--label (--answer)", "id": "--id", **OF_EVENTS}
        given = {"--labels": self.labels, "--items": self.items, "--scale": self.scale}
        return [named[ours] for ours, _ in self.columns] + [option for option, value in given.items() if value]


def scale_of(given: str) -> tuple[float, float]:
    """The lowest and the highest rating as `--scale` gives them. Raises SettingsError where it is no scale."""
    try:
        low, high = map(float, given.split(","))
    except ValueError:
        low = high = math.nan
    if not (low < high and math.isfinite(high - low)):
        raise SettingsError(f"`--scale` is {given!r}; it is the lowest and the highest rating, as in --scale 1,5.")
    return low, high


def filled(wanted: Wanted) -> str:
    """The block as text with its comments. Raises SettingsError where something is missing or does not fit."""
    path = TEMPLATES / f"line_{wanted.kind}.yaml"
    if wanted.kind not in COLUMNS:
        raise SettingsError(
            f"There is no kind {wanted.kind!r} that a line can be made of from a source: {', '.join(COLUMNS)}. "
            "`--block FILE` takes the whole block of a line of any kind."
        )
    columns = dict(wanted.columns) or COLUMNS[wanted.kind]
    values = {"classify": _labelled, "retrieve": _asked, "rank": _events}[wanted.kind](wanted, columns)
    return Template(path.read_text(encoding="utf-8")).substitute(
        values,
        line=wanted.name,
        path=scalar(wanted.source),
        columns=scalar(columns),
        title=scalar(wanted.name.replace("_", " ").capitalize()),
    )


def _labelled(wanted: Wanted, _columns: Mapping[str, str]) -> dict[str, str]:
    _no_events(wanted)
    if not wanted.source or len(set(wanted.labels)) < 2:
        raise SettingsError(
            "A new line needs `--source` with its rows and `--labels` with two labels or more, as in --labels no,yes; "
            "or `--block FILE`, a YAML file with its whole block, such as examples/finance.yaml. Questions with their "
            "answers are a line of `--kind retrieve`, events of users one of `--kind rank`: these have no `--labels`."
        )
    floor = 0.6 if len(set(wanted.labels)) == 2 else 0.5
    return {"labels": scalar(list(wanted.labels)), "floor": str(floor)}


def _no_events(wanted: Wanted) -> None:
    if strange := [option for option in wanted.of_template if option in (*OF_EVENTS.values(), "--items", "--scale")]:
        raise SettingsError(f"{', '.join(strange)}: only a line of kind rank is made of that. Give `--kind rank` too.")


def _asked(wanted: Wanted, columns: Mapping[str, str]) -> dict[str, str]:
    _no_events(wanted)
    _sound(wanted, columns, "questions, a row for each with its answer", "the answers")
    return {"answers": scalar({**columns, "text": columns["label"]})}


def _sound(wanted: Wanted, columns: Mapping[str, str], rows: str, labels: str) -> None:
    """Whether a line whose labels are those of its data is told of as it has to be; `rows` and `labels` say of what."""
    problems = []
    if not wanted.source:
        problems.append(f"a line of kind {wanted.kind} needs `--source` with {rows}")
    if wanted.labels:
        problems.append(f"`--labels` is for other kinds: those of kind {wanted.kind} are {labels} that its data have")
    if wanted.scale and "ratings" not in columns:
        problems.append("`--scale` is that of ratings: name their column by `--rating`, or leave it out")
    if twice := sorted({name for name in columns.values() if [*columns.values()].count(name) > 1}):
        problems.append(f"{', '.join(twice)} is named as two columns; each has its own")
    if problems:
        raise SettingsError(f"The line {wanted.name} was not added:\n" + "\n".join(f"- {one}." for one in problems))


def _events(wanted: Wanted, columns: Mapping[str, str]) -> dict[str, str]:
    _sound(wanted, columns, "events, a row for each: user, item, text, time", "the items")
    return {
        "salt": scalar(secrets.token_hex(8)),
        "items": _items(wanted, columns),
        **_tastes(wanted.scale or STARS if "ratings" in columns else None),
    }


def _items(wanted: Wanted, columns: Mapping[str, str]) -> str:
    if not wanted.items:
        return "# a second source may bring the items themselves, rows of item and text: some that nobody has had yet"
    of_item = scalar({name: columns[name] for name in ("label", "text")})
    return (
        "- name: items  # the items themselves: rows of nobody tell of items that nobody has had yet\n"
        f"    kind: file\n    path: {scalar(wanted.items)}\n    columns: {of_item}"
    )


def _tastes(scale: tuple[float, float] | None) -> dict[str, str]:
    """What the block says of ratings; nothing where there are none."""
    if scale is None:
        return {
            "scale": "# nothing is rated: each event is a choice",
            "tastes": "{}  # nothing is rated: whatever a user chose counts as liked",
        }
    low, high = scale
    like, middle = low + LIKED * (high - low), (low + high) / 2
    return {
        "scale": f"scale: [{low:g}, {high:g}]  # the lowest and the highest rating\n  neutral: {middle:g}",
        "tastes": f"{{like: {like:g}, dislike: {middle:g}}}  # from `like` on an item was liked, below `dislike` it "
        "was not: set what your users mean",
    }
