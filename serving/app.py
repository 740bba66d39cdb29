"""The application: one per service, all that it needs given to it."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi_offline import FastAPIOffline
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

from serving import products, v1, v2
from serving.bundled import Products
from serving.edge import Edge
from serving.hub import Hub
from serving.log.record import Recorder
from serving.metrics import Metrics
from serving.problems import faults, refusal, response
from serving.security import Access, Keys
from serving.service import Service
from serving.settings import ServingSettings
from serving.visit import visit
from tasks.core.errors import TidegateError

DESCRIPTION = """Labels texts with the release that has earned its place on each line.

Keys, where the service has any: `Authorization: Bearer tg_...` or `X-API-Key: tg_...`. `X-Request-ID` is taken over
where it is well formed (letters, digits and `._:-`, 100 at most) and is part of every answer; feedback refers to it."""


def create_app(
    hub: Hub,
    settings: ServingSettings,
    metrics: Metrics,
    recorder: Recorder,
    keys: Keys,
    draining: Callable[[], bool] = lambda: False,
    bundled: Products | None = None,
) -> FastAPI:
    """The service's routes around a hub, which the caller starts and stops. `draining` tells that the end is near.

    `bundled` are the products that have a route, by name.
    """
    access = Access(keys, settings.rate)
    service = Service(hub, settings, metrics, recorder, access)
    app = FastAPIOffline(  # the page at /docs brings its own scripts: FastAPI's loads them from a CDN
        redoc_url=None, title="Tidegate", version="1", description=DESCRIPTION, redirect_slashes=False
    )
    app.add_middleware(Edge, access=access, settings=settings, metrics=metrics, draining=draining)
    _describe_keys(app)
    for kind in (TidegateError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, _refuse)
    app.include_router(v1.routes(service))
    app.include_router(products.routes(service, bundled or {}))
    app.include_router(v2.routes(service))

    @app.get("/", include_in_schema=False)
    async def index() -> dict[str, Any]:
        return {
            "service": "tidegate",
            "lines": "/v1/lines",
            "products": "/v1/products",
            "health": "/v2/health/ready",
            "docs": "/docs",
        }

    @app.get("/metrics", include_in_schema=False)
    async def measured(request: Request) -> Response:
        access.staff(visit(request.scope).caller)
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return app


def _describe_keys(app: FastAPI) -> None:
    """Name the two headers in the schema, so that the page can send a key."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        schema = plain()
        schema["components"]["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
        schema["security"] = [{}, {"bearer": []}, {"key": []}]
        return schema

    app.openapi = described  # type: ignore[method-assign]


async def _refuse(request: Request, error: Exception) -> Response:
    refused = faults(list(error.errors())) if isinstance(error, RequestValidationError) else refusal(error)
    return response(refused, request.scope)
