"""Every reason not to answer as one answer: JSON with a code and a sentence, never a trace, never a caller's text."""

import logging
import math
import traceback
from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from serving.errors import Expired, Failed, NotReady, QueueFull, UnknownLine
from serving.visit import visit
from tasks.core.errors import TidegateError

log = logging.getLogger("tidegate")

V2 = "/v2"
INTERNAL = 500
SHOWN = 10
"""Faults of one request that are named; a request of 256 wrong texts needs no 256 sentences."""


class Refused(TidegateError):
    """A request that is not answered as asked."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        headers: Mapping[str, str] | None = None,
        details: list[dict[str, str]] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = dict(headers or {})
        self.details = details


def invalid(where: str, message: str) -> Refused:
    """One fault of a request's content, with its place, e.g. `texts.3`."""
    return Refused(422, "invalid", f"{where}: {message}", details=[{"where": where, "message": message}])


def retry_after(seconds: float) -> dict[str, str]:
    """The header that says when to come again, in whole seconds."""
    return {"Retry-After": str(max(1, math.ceil(seconds)))}


def refusal(error: Exception) -> Refused:
    """The refusal that an error means; one that nobody foresaw is logged by its kind and place alone."""
    match error:
        case Refused():
            return error
        case UnknownLine():
            return Refused(404, "unknown_line", str(error))
        case NotReady():
            return Refused(503, "not_ready", str(error), retry_after(1))
        case QueueFull():
            return Refused(429, "queue_full", str(error), retry_after(error.retry_after))
        case Expired():
            return Refused(504, "expired", str(error))
        case Failed():
            return Refused(500, "failed", str(error))
        case HTTPException():
            code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "refused")
            return Refused(error.status_code, code, f"{error.detail}.", error.headers)
    frame = traceback.extract_tb(error.__traceback__)[-1:]
    place = ", ".join(f"{one.filename}:{one.lineno} in {one.name}" for one in frame)
    log.error("unexpected %s at %s", type(error).__name__, place)  # its message may hold a caller's text
    return Refused(500, "internal", "The service failed on this request. Its log says where, under the request id.")


def faults(errors: list[Any]) -> Refused:
    """Pydantic's errors as one refusal: places and rules, never what was given."""
    details = [
        {"where": ".".join(str(part)[:40] for part in error["loc"]), "message": _sentence(error)}
        for error in errors[:SHOWN]
    ]
    more = f" ({len(errors)} faults)" if len(errors) > 1 else ""
    return Refused(422, "invalid", f"{details[0]['where']}: {details[0]['message']}{more}", details=details)


def _sentence(error: Mapping[str, Any]) -> str:
    if error["type"] == "json_invalid":
        return f"is no valid JSON: {error['ctx']['error']}"
    return str(error["msg"]).removeprefix("Value error, ")


def response(refused: Refused, scope: Scope) -> Response:
    """The answer in the shape of the protocol that the path belongs to."""
    here = visit(scope)
    here.code = refused.code
    if refused.status == INTERNAL:
        log.warning("%s %s: %s", here.request_id, refused.code, refused)
    content: dict[str, Any]
    if scope["path"] == V2 or scope["path"].startswith(f"{V2}/"):
        content = {"error": str(refused)}
    else:
        content = {"code": refused.code, "message": str(refused), "request_id": here.request_id}
        content = {"error": content | ({"details": refused.details} if refused.details else {})}
    return Response(to_json(content), refused.status, refused.headers, "application/json")
