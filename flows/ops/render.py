"""Templates to HTML. Everything that is not a template's own text is escaped."""

import gzip
import hashlib
from functools import lru_cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from flows.ops.words import figure, moment, percent, points

PLOTLY = "plotly.min.js"
KINDS = {"ops.css": "text/css", "ops.js": "text/javascript", PLOTLY: "text/javascript"}
"""The static files that there are, and what they are."""


def page(template: str, **values: Any) -> str:
    """A page of `templates/`."""
    return _environment().get_template(template).render(**values)


@lru_cache
def packed(name: str) -> bytes:
    """A static file, compressed once: Plotly's is 4.5 MB."""
    return gzip.compress(_bytes(name), mtime=0)


@lru_cache
def address(name: str) -> str:
    """The address of a static file; it changes with its content, so that a browser may keep it for ever."""
    return f"/static/{name}?v={hashlib.sha256(_bytes(name)).hexdigest()[:12]}"


def _bytes(name: str) -> bytes:
    if name == PLOTLY:
        spec = find_spec("plotly")  # without importing it
        assert spec is not None and spec.origin is not None  # noqa: S101 - evidently needs it
        return (Path(spec.origin).parent / "package_data" / PLOTLY).read_bytes()
    return files("flows.ops").joinpath("static", name).read_bytes()


@lru_cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("flows.ops"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"static": address}
    made.filters |= {"percent": percent, "points": points, "figure": figure, "moment": moment}
    return made
