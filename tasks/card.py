"""The model card: tables of what the stages reported, as Markdown and as one HTML page."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks import report
from tasks.figures import TOLD
from tasks.verdict import Verdict, number

if TYPE_CHECKING:
    from tasks.inference import Signature

_NUMBER = re.compile(r"[–\d.,% ]*( to [\d.]+)?|[≥≤] .*")
PLOTS = ("confusion", "reliability")
SLICED = {"accuracy": "accuracy", "f1_macro": "F1 macro", "ndcg_at_10": "NDCG@10", "recall_at_10": "recall@10"}
"""What is told of slices, with its name for people; an interval of the first that there is."""
MOST_ROWS = 60  # a table longer than this is cut in the card; the whole of it is in the evidence


NAME = 40
"""Characters up to which labels are names; longer ones are texts, as the answers of a line of kind retrieve are."""
MOST_NAMES, MOST_TEXTS = 20, 3


@dataclass(frozen=True)
class Facts:
    """What the card tells of, as the stages wrote it."""

    line: str
    settings: Any
    """ReleaseSettings"""
    signature: "Signature"
    params: Mapping[str, Any]
    """The line's block of params.yaml."""
    provenance: Mapping[str, Any]
    labels: Mapping[str, Any]
    split: Mapping[str, Any]
    metrics: Mapping[str, Any]
    verdicts: Mapping[str, Verdict]


@dataclass(frozen=True)
class Table:
    """A table of the card; numbers are written out."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def rules(self) -> list[str]:
        """The line below the head: columns of numbers stand to the right."""
        columns = list(zip(*self.rows, strict=True)) or [()] * len(self.head)
        return ["---:" if column and all(_NUMBER.fullmatch(value) for value in column) else "---" for column in columns]


def markdown(facts: Facts, image: Callable[[str], str] = "evidence/{}.png".format) -> str:
    """The card. `image` gives the source of a plot by its name."""
    tables = {
        "labels": labels(facts.signature.labels),
        "sources": _sources(facts.provenance),
        "sides": _sides(facts.split),
        "classes": _classes(facts.metrics),
        "figures": figures(facts.metrics),
        "slices": _slices(facts.metrics),
        "scope": figures(
            {name: value for name, value in facts.metrics.get("scope", {}).items() if not name.startswith("fit")}
        ),
        "behaviour": _behaviour(facts.metrics),
        "fairness": _fairness(facts.metrics),
        "variants": _variants(facts),
        "recipe": _pairs(facts.params.get("train")),
        "gates": {name: checks(verdict) for name, verdict in facts.verdicts.items()},
    }
    return report.render(
        "model_card.md.j2", facts=facts, tables=tables, number=number, cell=cell, image=image, plots=PLOTS
    )


def page(facts: Facts, images: Mapping[str, bytes]) -> str:
    """The card as one HTML page with the plots in it."""
    from markdown_it import MarkdownIt

    text = markdown(facts, lambda name: report.data_uri(images[name]))
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    return report.render("model_card.html.j2", title=facts.settings.title or facts.line, body=body)


def labels(names: Sequence[str]) -> str:
    """The labels as Markdown; of labels that are texts their number and a few, shortened."""
    if _texts(names):
        some = ", ".join(f'"{cell(short(name))}"' for name in names[:MOST_TEXTS])
        return f"{len(names):,} texts, such as {some}"
    more = f" and {len(names) - MOST_NAMES:,} more" if len(names) > MOST_NAMES else ""
    return ", ".join(map(cell, names[:MOST_NAMES])) + more


def short(label: str) -> str:
    """A label in NAME characters at most."""
    return label if len(label) <= NAME else f"{label[: NAME - 1].rstrip()}…"


def _texts(names: Iterable[str]) -> bool:
    return any(len(name) > NAME for name in names)


def figures(metrics: Mapping[str, Any]) -> Table:
    """The figures at the top of metrics.json, with their 95% intervals."""
    names = [name for name, value in metrics.items() if _is_number(value) and not name.endswith(("_low", "_high"))]
    rows = [(name.replace("_", " "), number(metrics[name]), _interval(metrics, name)) for name in names]
    return Table(("figure", "value", "95% interval"), rows)


def checks(of: Verdict) -> Table:
    """The checks of a verdict."""
    return Table(*of.table())


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _interval(values: Mapping[str, Any], name: str) -> str:
    low, high = values.get(f"{name}_low"), values.get(f"{name}_high")
    return "" if low is None or high is None else f"{number(low)} to {number(high)}"


def _sources(provenance: Mapping[str, Any]) -> Table:
    rows = [
        (number(b.get("source")), number(b.get("rows")), number(b.get("sha256"))[:12], number(b.get("uri")))
        for b in provenance.get("batches", [])
    ]
    return Table(("source", "rows", "sha256", "from"), rows)


def _sides(split: Mapping[str, Any]) -> Table:
    sides = split.get("sides", {})
    rows = [
        (side, number(sides[side].get("rows")), number(sides[side].get("ambiguous")), _shares(sides[side]))
        for side in ("train", "validation", "test")
        if side in sides
    ]
    return Table(("side", "rows", "ambiguous", "labels"), rows)


def _shares(side: Mapping[str, Any]) -> str:
    shares = side.get("label_shares", {})
    most = MOST_TEXTS if _texts(shares) else MOST_NAMES
    return ", ".join(f"{short(label)} {share:.1%}" for label, share in list(shares.items())[:most])


def _classes(metrics: Mapping[str, Any]) -> Table:
    columns = ("precision", "recall", "f1", "rows")
    rows = [
        (short(label), *(number(scores.get(c)) for c in columns))
        for label, scores in metrics.get("per_class", {}).items()
    ]
    return Table(("label", *columns), rows[:MOST_ROWS])


def _slices(metrics: Mapping[str, Any]) -> Table:
    every = [(by, name, told) for by, group in metrics.get("slices", {}).items() for name, told in group.items()]
    columns = [column for column in SLICED if any(column in told for _, _, told in every)] or ["accuracy"]
    rows = [
        (by, name, *(number(told.get(column)) for column in ("rows", *columns)), _interval(told, columns[0]))
        for by, name, told in every
    ]
    names = [SLICED[column] for column in columns]
    return Table(("by", "slice", "rows", *names, f"95% interval of {names[0]}"), rows[:MOST_ROWS])


def _behaviour(metrics: Mapping[str, Any]) -> Table:
    rows = [
        (name, number(part.get("kind")), *(number(part.get(c)) for c in ("cases", "failed")), *_rate(part, "fail_rate"))
        for name, part in metrics.get("behaviour", {}).items()
        if name != "kinds"
    ]
    return Table(("test", "kind", "cases", "failed", "share", "95% interval"), rows[:MOST_ROWS])


def _fairness(metrics: Mapping[str, Any]) -> Table:
    columns = ("cases", "flipped")
    rows = [
        (name, *(number(part.get(c)) for c in columns), *_rate(part, "flip_rate"), number(part.get("gap_mean")))
        for name, part in metrics.get("fairness", {}).items()
    ]
    head = ("group", "sentences", "label flips", "share", "95% interval", "mean probability gap")
    return Table(head, rows[:MOST_ROWS])


def _rate(part: Mapping[str, Any], name: str) -> tuple[str, str]:
    return number(part.get(name)), _interval(part, name)


def _variants(facts: Facts) -> Table:
    gate = facts.verdicts["release_gate"]
    found = {check.name: number(check.value) for check in gate.checks}
    names = sorted({name.split(".")[0] for name in found if "." in name})
    main = next((key for key in TOLD if any(f"{name}.{key}" in found for name in names)), "accuracy")
    columns = ("size_mb", "agreement", "gap_p95", main, "calibration")
    rows = [
        (name, *(found.get(f"{name}.{c}", "–") for c in columns), number(name in gate.details["admissible"]))
        for name in names
    ]
    head = ("variant", "MB", "same label as torch", "probability gap, p95", f"test {TOLD[main]}", "ECE", "released")
    return Table(head, rows)


def _pairs(block: Any) -> Table:
    return Table(("setting", "value"), list(_flat(block or {})))


def _flat(block: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in block.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", f"{value:g}" if isinstance(value, float) else str(value)


def cell(value: str) -> str:
    """A value as one cell of a Markdown table: nothing in it is taken for markup."""
    for mark in "\\`*_[]<>|#&":
        value = value.replace(mark, "\\" + mark)
    return " ".join(value.split())
