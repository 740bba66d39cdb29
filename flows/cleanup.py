"""The clean-up as a flow, for its daily deployment; `tidegate cleanup` does the same without Prefect."""

from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.release import failure
from flows.tidy import tidy
from tasks.core.errors import TidegateError


@flow(name="cleanup")
def cleanup(dry_run: bool = False) -> State[Any]:
    """Delete what grows on this machine and nobody needs any more; `dry_run` says what that would be.

    The run fails where a part of it could not be done; the other parts are done all the same.
    """
    try:
        found = tidy(dry_run)
    except TidegateError as error:
        return failure(error)
    said = [f"- {what}" for what in str(found).splitlines()] or ["Nothing was to be deleted."]
    create_markdown_artifact("\n".join(said), key="cleanup", description="Clean-up")
    if found.failed:
        return Failed(message=f"Not done: {'; '.join(found.failed)}")
    return Completed(message=f"{len(found.done)} kind(s) of leftovers deleted." if found.done else "Nothing to delete.")
