"""The application: pages for all who may look; flows.ops.forms has what changes something."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse
from starlette.exceptions import HTTPException

from flows.ops import charts, forms, render
from flows.ops.answers import RECORD, RELEASE, YEAR, SignIn, html, known, message, to_login, visitor, words
from flows.ops.desk import Desk
from flows.ops.sessions import Session
from flows.ops.timeline import thinned
from flows.ops.view import release_path, report_path
from flows.ops.wall import DOCUMENT, REPORT, Wall
from tasks.core.errors import TidegateError

DAYS = (1, 7, 30, 90)
DEFAULT_DAYS = 7
EVIDENCE = {
    "model_card": "model_card.html",
    "quality_gate": "evidence/quality_gate_gate.html",
    "release_gate": "evidence/release_gate_gate.html",
}
"""Pages that a release brings, below its folder."""
CONFLICT = 409


def create_app(desk: Desk) -> FastAPI:
    """The page's routes around a desk."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.add_middleware(Wall, keys=desk.keys)
    _open(app)
    _pages(app, desk)
    _documents(app, desk)
    forms.add(app, desk)
    app.add_exception_handler(SignIn, to_login)

    @app.exception_handler(HTTPException)
    def problem(request: Request, error: HTTPException) -> Response:
        return message(desk, request, error.status_code)

    @app.exception_handler(TidegateError)
    def refused(request: Request, error: TidegateError) -> Response:
        return message(desk, request, CONFLICT, str(error), request.path_params.get("line"))

    return app


def _open(app: FastAPI) -> None:
    """What needs no session."""

    @app.get("/health")
    def health() -> Response:
        return PlainTextResponse("ok")

    @app.get("/static/{name}")
    def static(name: str) -> Response:
        if name not in render.KINDS:
            raise HTTPException(404)
        headers = {"Content-Encoding": "gzip", "Cache-Control": f"public, max-age={YEAR}, immutable"}
        return Response(render.packed(name), media_type=render.KINDS[name], headers=headers)


def _pages(app: FastAPI, desk: Desk) -> None:
    def looks(request: Request) -> Session | None:
        return visitor(desk, request)

    @app.get("/")
    def home(request: Request, session: Session | None = Depends(looks)) -> Response:
        lines = desk.lines()
        if len(lines) == 1:
            return RedirectResponse(f"/lines/{next(iter(lines))}", 303)
        return html(desk, request, "home.html.j2", session, views=[desk.watch(name).view() for name in lines])

    @app.get("/lines/{line}")
    def one(request: Request, line: str, session: Session | None = Depends(looks)) -> Response:
        view = desk.watch(known(desk, line)).view()
        about = {"jobs": desk.jobs.of(line), "days": _days(request), "ranges": DAYS}
        return html(desk, request, "line.html.j2", session, line=line, view=view, **about)

    @app.get("/lines/{line}/figures", dependencies=[Depends(looks)])
    def figures(request: Request, line: str) -> Response:
        watch = desk.watch(known(desk, line))
        found = watch.timeline.since(datetime.now(UTC) - timedelta(days=_days(request)))
        return JSONResponse(charts.all_of(thinned(found), watch.registered.value().history, words(request)))


def _documents(app: FastAPI, desk: Desk) -> None:
    """Pages that monitor and stages wrote: each in a sandbox, for texts of users stand in them."""

    def looks(request: Request) -> Session | None:
        return visitor(desk, request)

    @app.get("/lines/{line}/reports/{observation}", dependencies=[Depends(looks)])
    def report(line: str, observation: str) -> Response:
        known(desk, line)
        if not RECORD.fullmatch(observation):
            raise HTTPException(404)
        return _file(report_path(line, observation), REPORT)

    @app.get("/lines/{line}/releases/{release}/{name}", dependencies=[Depends(looks)])
    def evidence(line: str, release: str, name: str) -> Response:
        known(desk, line)
        if name not in EVIDENCE or not RELEASE.fullmatch(release):
            raise HTTPException(404)
        return _file(release_path(line, release) / EVIDENCE[name], DOCUMENT)

    @app.get("/lines/{line}/releases/{release}/against/{champion}", dependencies=[Depends(looks)])
    def comparison(line: str, release: str, champion: str) -> Response:
        known(desk, line)
        if not (RELEASE.fullmatch(release) and RELEASE.fullmatch(champion)):
            raise HTTPException(404)
        return _file(release_path(line, release) / "comparisons" / champion / "compare.html", DOCUMENT)


def _file(path: Path, policy: str) -> Response:
    if not path.is_file():
        raise HTTPException(404)
    return FileResponse(path, media_type="text/html", headers={"Content-Security-Policy": policy})


def _days(request: Request) -> int:
    """How far back the charts reach."""
    asked = request.query_params.get("days", "")
    return int(asked) if asked in map(str, DAYS) else DEFAULT_DAYS
