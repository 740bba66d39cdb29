"""An application around a desk: the wall, the ways in, and what is said where something is not to be had."""

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.exceptions import HTTPException

from flows.web.answers import Desk, SignIn, message, to_login
from flows.web.doors import doors
from flows.web.render import Site
from flows.web.wall import Wall
from tasks.core.errors import TidegateError

CONFLICT = 409


def application(desk: Desk, site: Site, *routers: APIRouter, styles: str = "'self'") -> FastAPI:
    """The routes of a page. `styles` is what its policy allows of style sheets."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.state.desk, app.state.site = desk, site
    app.add_middleware(Wall, keys=desk.keys, styles=styles)
    for router in (doors, *routers):
        app.include_router(router)
    app.add_exception_handler(SignIn, to_login)
    app.add_exception_handler(HTTPException, _problem)
    app.add_exception_handler(TidegateError, _refused)
    return app


def _problem(request: Request, error: Exception) -> Response:
    return message(request, error.status_code if isinstance(error, HTTPException) else 500)


def _refused(request: Request, error: Exception) -> Response:
    return message(request, CONFLICT, str(error))
