"""Real texts with human labels to play as live traffic: the default archive's, none of which stands in a split."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flows.settings import LineSettings
from tasks.core.errors import SettingsError, StageError
from tasks.core.files import read_parquet
from tasks.core.line import Line
from tasks.sources.package import PackageSource
from tasks.split import RESERVE

if TYPE_CHECKING:
    import pyarrow as pa

HOME = "film"
MEMBERS = {
    HOME: "movieReviewSnippets", "products": "amazonReviewSnippets", "tweets": "tweets",
    "editorials": "nytEditorialSnippets",
}  # fmt: skip
"""Origins, and part of the names of their members in the archive; all were rated by the same people in the same way."""


@dataclass(frozen=True)
class Row:
    """A text, what people say it is, and where it comes from."""

    text: str
    label: str
    origin: str


def held_out(line: Line) -> list[Row]:
    """The rows that the split stage reserved. Raises StageError where there are none."""
    path = line.file("split", f"{RESERVE}.parquet")
    frame = read_parquet(path) if path.exists() else None
    if frame is None or frame.empty:
        raise StageError(
            f"{path} holds no row to play. Give lines.{line.name}.split.reserve a share, and `tidegate run`."
        )
    return [Row(text, label, HOME) for text, label in zip(frame["text"], frame["label"], strict=True)]


def elsewhere(settings: LineSettings) -> list[Row]:
    """The rows of every other origin than the line's own; raises as `rated` does."""
    return [row for origin in MEMBERS if origin != HOME for row in rated(origin, settings)]


def rated(origin: str, settings: LineSettings) -> list[Row]:
    """The rows of an origin, in the archive's order, texts as they are.

    Labels are made as the line's own are: by the sign of the mean rating; what the raters do not decide is left out.
    Raises SettingsError where the line is not made of that archive, SourceError where it cannot be fetched.
    """
    home = next((source for source in settings.sources if isinstance(source, PackageSource) and source.join), None)
    if home is None or MEMBERS[HOME] not in home.member or settings.label.by != "ratings":
        raise SettingsError(f"Only a line by ratings whose source is a package with {MEMBERS[HOME]} can be played.")
    source = _at(home, MEMBERS[origin])
    (piece,) = source.look()
    with source.open(piece) as opened:
        return [row for table in source.rows(opened, piece.uri) for row in _labelled(table, origin, settings)]


def _at(home: PackageSource, member: str) -> PackageSource:
    """The same source, of another member."""
    assert home.join is not None  # noqa: S101 - looked for above
    join = home.join.model_copy(update={"member": home.join.member.replace(MEMBERS[HOME], member)})
    return home.model_copy(update={"member": home.member.replace(MEMBERS[HOME], member), "join": join})


def _labelled(table: "pa.Table", origin: str, settings: LineSettings) -> list[Row]:
    from tasks.ratings import Ratings

    side = np.sign(Ratings.of(table["ratings"]).mean - settings.label.neutral)
    names = {-1.0: settings.label.labels[0], 1.0: settings.label.labels[1]}
    texts: Sequence[str | None] = table["text"].to_pylist()
    return [Row(text, names[way], origin) for text, way in zip(texts, side, strict=True) if text and way in names]
