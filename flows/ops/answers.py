"""What the answers of the ops page share: its desk, its files, and which names of records there can be."""

import re
from importlib.util import find_spec
from pathlib import Path

from fastapi import Request

from flows.ops.desk import Desk
from flows.web.render import Site, Static, own

RELEASE = re.compile(r"[0-9a-f]{12}")
RECORD = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{4,12}")
"""Ids of observations and alerts: names of files, so nothing else is looked for."""
PACKAGE = "flows.ops"
PLOTLY = "plotly.min.js"


def site() -> Site:
    """Templates and static files of the ops page."""
    mine = {name: own(PACKAGE, name) for name in ("ops.css", "ops.js")}
    return Site("ops", PACKAGE, {**mine, PLOTLY: Static("text/javascript", _plotly)})


def desk_of(request: Request) -> Desk:
    """The desk of the application that answers."""
    desk: Desk = request.app.state.desk
    return desk


def _plotly() -> bytes:
    spec = find_spec("plotly")  # without importing it
    assert spec is not None and spec.origin is not None  # noqa: S101 - evidently needs it
    return (Path(spec.origin).parent / "package_data" / PLOTLY).read_bytes()
