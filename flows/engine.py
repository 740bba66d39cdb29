"""`python -m flows.engine`: what a worker starts for each run. The run can then be told from one that was killed."""

import logging
import os
import runpy
from uuid import UUID

from flows import leftovers
from flows.server import settle

RUN = "PREFECT__FLOW_RUN_ID"
"""Environment variable with which a worker says which run is meant."""


def main() -> None:
    """Tag the run with this process, and hand over to Prefect's engine."""
    settle()
    from prefect.client.orchestration import get_client

    run_id = UUID(os.environ[RUN])
    with get_client(sync_client=True) as client:
        client.update_flow_run(run_id, tags=[*client.read_flow_run(run_id).tags, leftovers.tag()])
    for name in ("prefect.flow_runs", "prefect.engine"):
        logging.getLogger(name).addFilter(_new)
    runpy.run_module("prefect.engine", run_name="__main__", alter_sys=True)


def _new(record: logging.LogRecord) -> bool:
    """Whether a record says something new: that a flow returned a failed state was said with the state."""
    from prefect.exceptions import CancelledRun, FailedRun

    return record.exc_info is None or not isinstance(record.exc_info[1], FailedRun | CancelledRun)


if __name__ == "__main__":
    main()
