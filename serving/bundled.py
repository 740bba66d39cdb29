"""What the routes of all kinds of products share: a product for a caller, and its lines asked side by side."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastapi import Request

from serving.errors import UnknownLine
from serving.hub import Reply
from serving.line import ServedLine
from serving.problems import Refused
from serving.service import Service, settled
from serving.visit import visit

if TYPE_CHECKING:  # settings of opinion bring those of all sources: some 30 MB that a service without need not have
    from tasks.dialogue.settings import AnswerSettings
    from tasks.opinion.settings import OpinionSettings

Products = Mapping[str, "AnswerSettings | OpinionSettings"]


def find(service: Service, request: Request, products: Products, name: str, kind: str) -> Any:
    """The settings of a product of that kind that the caller may use, at their rate. Raises Refused."""
    found = products.get(name)
    if found is None or found.kind != kind:
        known = ", ".join(sorted(one for one, its in products.items() if its.kind == kind)) or "none"
        raise Refused(404, "unknown_product", f"There is no product {name[:80]!r} here. Products: {known}.")
    service.access.use(visit(request.scope).caller, *found.needed)
    return found


async def ask(
    service: Service, request: Request, lines: Sequence[str], texts: Sequence[str], deadline_ms: int | None
) -> dict[str, Reply]:
    """What each line that has a release says of the texts: they compute side by side.

    The request counts as one to the first of the lines.
    """
    deadline = service.deadline(deadline_ms)
    futures = {}
    try:
        for name in lines:
            if (line := _serving(service, name)) is not None:
                futures[name] = service.submit(request, line, texts, deadline)
                visit(request.scope).line = lines[0]
        return {name: await settled(future, request, deadline) for name, future in futures.items()}
    finally:
        for future in futures.values():
            future.cancel()


def _serving(service: Service, name: str) -> ServedLine | None:
    """A line with a release; None where it has none, or is not here."""
    try:
        line = service.hub.line(name)
    except UnknownLine:
        return None
    return line if line.champion is not None else None
