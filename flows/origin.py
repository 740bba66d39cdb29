"""Prefect's server asks nobody who they are: what any page in this machine's browser could tell it is refused here."""

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

NAMES = ("127.0.0.1", "localhost")


class OwnPages:
    """An application that heeds no request of a page that it did not serve itself.

    A browser says where a page came from whenever it sends something or opens a socket; programs say nothing.
    """

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = TrustedHostMiddleware(app, list(NAMES))  # a foreign name may be made to point to this machine
        self._own: Collection[str] = {f"http://{name}:{port}" for name in NAMES}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403 to a foreign page, 400 where this machine was asked by a foreign name."""
        origin = Headers(scope=scope).get("origin") if scope["type"] in ("http", "websocket") else None
        if origin is None or origin in self._own:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await WebSocketClose()(scope, receive, send)
        else:
            await PlainTextResponse("This server heeds its own pages alone.", 403)(scope, receive, send)
