"""Slices that a line names in params.yaml: by a way of slicing, or by an expression over the test table."""

import ast
import difflib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from tasks.core.errors import SettingsError
from tasks.core.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

Mask = NDArray[np.bool_]

COLUMNS = ("id", "text", "source", "label", "agreement", "ambiguous", "words", "characters")
"""What an expression may name."""


class SliceSettings(Settings):
    """A floor under one slice, or under every slice of a way of slicing. Give `by`, or `where` with a `name`."""

    by: Literal["source", "length", "label", "agreement", "ambiguous"] | None = Field(
        None, description="A floor under each slice: each source, each length of evaluate.length_edges, ..."
    )
    where: str | None = Field(
        None, description=f"A pandas expression that is true for the rows of the slice, over {', '.join(COLUMNS)}."
    )
    name: str | None = Field(None, min_length=1, max_length=60, description="What the slice is called.")
    metric: Literal["accuracy", "f1_macro"] = Field("accuracy", description="What is measured; by label: accuracy.")
    floor: float = Field(ge=0, le=1, description="The least that the slice should have.")

    @field_validator("where")
    @classmethod
    def _readable(cls, where: str | None) -> str | None:
        if where is not None:
            select(_any_row(), where)
        return where

    @model_validator(mode="after")
    def _one_way(self) -> "SliceSettings":
        if (self.by is None) == (self.where is None):
            raise ValueError("a slice needs either `by` or `where`")
        if (self.where is None) != (self.name is None):
            raise ValueError("a slice with `where` needs a `name`, and one with `by` takes none")
        if self.by == "label" and self.metric != "accuracy":
            raise ValueError("a slice by label holds one label, so F1 says nothing there; its metric is accuracy")
        return self


def members(
    wanted: SliceSettings, rows: "pd.DataFrame", ways: Mapping[str, "pd.Series[Any]"]
) -> Iterator[tuple[str, Mask]]:
    """Name and rows of each slice that the settings mean; with no rows at all where no row has a value.

    Raises SettingsError where an expression does not suit the rows.
    """
    if wanted.where is not None:
        try:
            yield f"slice {wanted.name}", select(rows, wanted.where)
        except ValueError as error:  # it could be evaluated on another row
            raise SettingsError(f"quality_gate.slices, {wanted.name}: {error}. Given was {wanted.where!r}.") from None
        return
    column = (rows["label"] if wanted.by == "label" else ways[str(wanted.by)]).to_numpy(dtype=object)
    names = sorted({str(value) for value in column if isinstance(value, str)})
    for name in names:
        yield f"slice {wanted.by} {name}", column == name
    if not names:
        yield f"slice {wanted.by}", np.zeros(len(rows), dtype=bool)


def names_source(wanted: SliceSettings) -> bool:
    """Whether a slice is told by the source of its rows."""
    if wanted.where is None:
        return wanted.by == "source"
    nodes = ast.walk(ast.parse(wanted.where.strip(), mode="eval"))
    return any(isinstance(node, ast.Name) and node.id == "source" for node in nodes)


def select(rows: "pd.DataFrame", where: str) -> Mask:
    """The rows for which the expression is true. Raises ValueError that says what is wrong with it."""
    _allow(where)
    table = rows.assign(
        ambiguous=rows["ambiguous"].eq(True),  # null where a source brings no ratings
        words=rows["text"].str.split().map(len),
        characters=rows["text"].map(len),
    )[list(COLUMNS)]
    try:
        found: Any = table.eval(where, engine="python")
    except Exception as error:  # whatever pandas raises, the expression is at fault
        raise ValueError(f"the expression cannot be evaluated: {str(error).splitlines()[0]}") from None
    if getattr(found, "dtype", None) not in ("bool", "boolean") or np.shape(found) != (len(table),):
        raise ValueError("the expression must be true or false for each row, as in `words < 5`")
    return np.asarray(found.fillna(False), dtype=bool)


def _allow(where: str) -> None:
    """Columns and their methods alone: nothing outside the table, nothing that begins with an underscore."""
    try:
        nodes = list(ast.walk(ast.parse(where.strip(), mode="eval")))
    except SyntaxError as error:
        raise ValueError(f"the expression is not readable ({error.msg}); `@` and `=` are not allowed") from None
    for node in nodes:
        if isinstance(node, ast.Name) and node.id not in COLUMNS:
            near = difflib.get_close_matches(node.id, COLUMNS, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise ValueError(f"the expression names {node.id!r}{hint}; columns are {', '.join(COLUMNS)}")
        if isinstance(node, ast.Attribute) and node.attr.startswith(("_", "to_")):
            raise ValueError(f"the expression uses .{node.attr}, which is not allowed")
        if isinstance(node, ast.MatMult):
            raise ValueError("the expression uses `@`, which is not allowed")


def _any_row() -> "pd.DataFrame":
    """A table to try an expression on before there is one."""
    import pandas as pd

    row = {"id": "1", "text": "a text", "source": "a", "label": "a", "agreement": 1.0, "ambiguous": False}
    return pd.DataFrame([row])
