"""The flow `approve`: an approver's decision by the form of Prefect's own page."""

from enum import StrEnum
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows import promote
from flows.release import failure
from tasks.core.errors import TidegateError


class Decision(StrEnum):
    """What an approver says."""

    YES = "yes"
    NO = "no"


@flow(name="approve", flow_run_name="approve-{line}-{release}")
def approve(line: str, release: str, decision: Decision, by: str, why: str, key_block: str = "") -> State[Any]:
    """Decide on a proposed release; a yes promotes it.

    `decision` has no default, so that nobody says yes by pressing a button. `key_block` names the Secret block that
    holds the API key of `by`; without one a signed tag is looked for. The key is no parameter: those are shown.
    """
    try:
        key = _secret(key_block) if key_block else None
        decide = promote.promote if decision == Decision.YES else promote.reject
        return Completed(message=decide(line, release, by, why, key=key))
    except TidegateError as error:
        return failure(error)


def _secret(block: str) -> str:
    """The text in a Secret block. Raises TidegateError where there is none of that name."""
    from prefect.blocks.system import Secret

    try:
        found: Any = Secret.load(block)
    except ValueError:
        raise TidegateError(
            f"There is no Secret block {block!r}. Make one in Prefect under Blocks, or sign a tag and name no block."
        ) from None
    return str(found.get())
