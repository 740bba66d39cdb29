"""The application: pages for all who may look; flows.ops.forms has what changes something."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse
from starlette.exceptions import HTTPException

from flows.alerts import open_alerts
from flows.evidence import page
from flows.ops import charts, forms, opinion
from flows.ops.answers import RECORD, RELEASE, desk_of, site
from flows.ops.desk import Desk
from flows.ops.health import COLOURS
from flows.ops.timeline import thinned
from flows.ops.view import release_path
from flows.web.answers import LineName, Visitor, html, visitor, words
from flows.web.app import application
from flows.web.wall import DOCUMENT, REPORT

DAYS = (1, 7, 30, 90)
DEFAULT_DAYS = 7
EVIDENCE = {
    "model_card": "model_card.html",
    "quality_gate": "evidence/quality_gate_gate.html",
    "release_gate": "evidence/release_gate_gate.html",
}
"""Pages that a release brings, below its folder."""
PLOTLY_STYLES = (
    "'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' "
    "'unsafe-hashes' 'sha256-gG0b4ixT/IQUp7JJLbyKcpYcYDjq2Wp8NGv3f+aasqo='"
)
"""Plotly makes an empty <style>, which it fills by script as no policy hinders: the hash of nothing. And it tries one
`style` attribute of an image that it throws away."""

pages = APIRouter(dependencies=[Depends(visitor)])


def create_app(desk: Desk) -> FastAPI:
    """The page's routes around a desk."""
    return application(desk, site(), pages, opinion.pages, forms.deeds, styles=PLOTLY_STYLES)


@pages.get("/")
def home(request: Request, session: Visitor) -> Response:
    """All lines and products at a glance; of one line alone its own page."""
    desk = desk_of(request)
    lines, products, answering = desk.lines(), desk.products(), desk.answering()
    if len(lines) == 1 and not products and not answering:
        return RedirectResponse(f"/lines/{next(iter(lines))}", 303)
    views, open_now = [desk.watch(name).view() for name in lines], open_alerts()
    watched = {name: [alert for alert in open_now if alert.line == name] for name in products}
    return html(
        request, "home.html.j2", session, views=views, watched=watched, products={**products, **answering},
        queues=desk.queues(), colours=COLOURS,
    )  # fmt: skip


@pages.get("/lines/{line}")
def one(request: Request, line: LineName, session: Visitor) -> Response:
    """The page of a line."""
    desk = desk_of(request)
    view, jobs = desk.watch(line).view(), desk.jobs.of(line)
    return html(request, "line.html.j2", session, line=line, view=view, jobs=jobs, days=_days(request), ranges=DAYS)


@pages.get("/lines/{line}/figures")
def figures(request: Request, line: LineName) -> Response:
    """The charts of a line, as data."""
    watch = desk_of(request).watch(line)
    found = watch.timeline.since(datetime.now(UTC) - timedelta(days=_days(request)))
    return JSONResponse(charts.all_of(thinned(found), watch.registered.value().history, words(request)))


@pages.get("/lines/{line}/reports/{observation}")
def report(line: LineName, observation: str) -> Response:
    """Evidently's report of an observation."""
    found = page(line, _named(RECORD.fullmatch(observation)))
    if found is None:
        raise HTTPException(404)
    return _file(found, REPORT)


@pages.get("/lines/{line}/releases/{release}/{name}")
def evidence(line: LineName, release: str, name: str) -> Response:
    """A page that a release brings."""
    folder = release_path(line, _named(RELEASE.fullmatch(release)))
    return _file(folder / EVIDENCE.get(name, "none"), DOCUMENT)


@pages.get("/lines/{line}/releases/{release}/against/{champion}")
def comparison(line: LineName, release: str, champion: str) -> Response:
    """The page of a comparison that was made."""
    folder = release_path(line, _named(RELEASE.fullmatch(release)))
    return _file(folder / "comparisons" / _named(RELEASE.fullmatch(champion)) / "compare.html", DOCUMENT)


def _named(found: re.Match[str] | None) -> str:
    """What was matched. Raises HTTPException 404: nothing else is looked for on the disk."""
    if found is None:
        raise HTTPException(404)
    return found[0]


def _file(path: Path, policy: str) -> Response:
    """A page that a monitor or a stage wrote: in a sandbox, for texts of users stand in it."""
    if not path.is_file():
        raise HTTPException(404)
    return FileResponse(path, media_type="text/html", headers={"Content-Security-Policy": policy})


def _days(request: Request) -> int:
    """How far back the charts reach."""
    asked = request.query_params.get("days", "")
    return int(asked) if asked in map(str, DAYS) else DEFAULT_DAYS
