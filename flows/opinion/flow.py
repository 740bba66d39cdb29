"""The flow `opinion`: one look of a product, shown in Prefect."""

from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.opinion.look import look
from flows.release import failure
from tasks.core.errors import BusyError, TidegateError


@flow(name="opinion", flow_run_name="opinion-{product}")
def opinion(product: str) -> State[Any]:
    """Take new headlines of a product, draw its index, raise alerts.

    An alert is a completed run: the look did what it is for. A feed that could not be read is a failed one, whatever
    the others gave.
    """
    try:
        done = look(product)
    except BusyError as error:
        return Completed(name="Skipped", message=str(error))
    except (TidegateError, OSError) as error:
        return failure(error)
    key = f"{product}-opinion".replace("_", "-")
    said = "\n".join(f"- {line}" for line in str(done).splitlines())
    create_markdown_artifact(said, key=key, description=f"What is said: {product}")
    if done.faults:
        return Failed(message=str(done))
    return Completed(name="Alert" if done.raised else "Completed", message=str(done))
