"""The outer wall of the page, as plain ASGI: who may knock, what a browser may load, how large a form is."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.problems import Refused
from serving.security import Keys, from_here

PAGE = (
    "default-src 'none'; script-src 'self'; style-src {styles}; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
DOCUMENT = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"
"""Of pages that the line wrote: they hold texts of users, and no script of theirs ever runs."""
REPORT = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; frame-ancestors 'none'"
)
"""Of Evidently's reports: their scripts draw, in an origin of their own that sees no cookie and reaches no address."""
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Wall:
    """Wraps the application."""

    def __init__(self, app: ASGIApp, keys: Keys, styles: str = "'self'") -> None:
        """`styles` is the policy's source list for style sheets."""
        self.app, self.keys = app, keys
        self.policy = PAGE.format(styles=styles)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, and put the headers on its answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(raw=message.setdefault("headers", []))
                for name, value in HEADERS.items():
                    answer[name] = value
                answer.setdefault("Content-Security-Policy", self.policy)
                answer.setdefault("Cache-Control", "no-store")
            await send(message)

        if (refusal := self._refusal(scope["method"], headers)) is None:
            await self.app(scope, receive, guarded)
        else:
            await PlainTextResponse(refusal, 403)(scope, receive, guarded)

    def _refusal(self, method: str, headers: Headers) -> str | None:
        """Why a request is not let in; None where it is."""
        if self.keys.team is None:
            try:
                from_here(headers, "This page")
            except Refused as refused:
                return str(refused)
        if method in UNSAFE and not _own(headers):
            return "This form was sent by another site."
        return None


def _own(headers: Headers) -> bool:
    """Whether a request that changes something came from a page of ours, by what the browser says of it."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    return headers.get("origin", "").partition("://")[2] == headers.get("host", "")
