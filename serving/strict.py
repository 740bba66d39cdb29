"""JSON as RFC 8259 has it: UTF-8, no name twice in an object, no NaN, no half of a surrogate pair."""

import json
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute

from serving.problems import Refused


class NotJson(ValueError):
    """Why bytes are no strict JSON, in words that hold nothing of them."""


def loads(body: bytes) -> Any:
    """The content of a JSON text. Raises NotJson."""
    try:
        content = json.loads(body.decode("utf-8"), object_pairs_hook=_no_name_twice, parse_constant=_no_constant)
        if b"\\u" in body:
            json.dumps(content, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        raise NotJson(f"{error.msg} at character {error.pos}") from None
    except UnicodeDecodeError as error:
        raise NotJson(f"byte {error.start} is not UTF-8") from None
    except UnicodeEncodeError:
        raise NotJson("an escape is one half of a surrogate pair") from None
    except RecursionError:
        raise NotJson("it is nested too deeply") from None
    except NotJson:
        raise
    except ValueError:  # a number of thousands of digits
        raise NotJson("a number is too long") from None
    return content


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotJson("an object has the same name twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise NotJson(f"{name} is no JSON number")


class _StrictRequest(Request):
    async def json(self) -> Any:
        try:
            return loads(await self.body())
        except NotJson as error:
            raise json.JSONDecodeError(str(error), "", 0) from None  # the one error that FastAPI answers with 422


class StrictRoute(APIRoute):
    """A route whose body is strict JSON and says so."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, given a request that reads JSON strictly."""
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            if self.body_field and not _says_json(request.headers.get("content-type", "")):
                raise Refused(415, "unsupported_media_type", "The body must be JSON: `Content-Type: application/json`.")
            return await handler(_StrictRequest(request.scope, request.receive))

        return strict


def _says_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
