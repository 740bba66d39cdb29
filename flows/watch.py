"""`python -m flows.watch`: looks at what nobody else would miss. A monitor that died cannot raise its own alarm."""

import argparse
import logging
import sys
import time
from datetime import UTC, datetime

from flows.server import settle
from tasks.core.stage import end_with_parent

log = logging.getLogger("tidegate")


def main() -> None:
    """Look at failed and missed runs every few minutes, and tell what waits to be told; until the parent ends."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--minutes", type=float, required=True, help="between two looks")
    minutes = parser.parse_args().minutes
    settle()
    end_with_parent()
    logging.basicConfig(level=logging.WARNING, stream=sys.stdout, format="%(asctime)s %(levelname)s %(message)s")
    log.setLevel(logging.INFO)
    while True:
        time.sleep(60 * minutes)  # first: what starts beside this needs a while
        look(datetime.now(UTC))


def look(now: datetime) -> None:
    """One look. A part of it that fails is said in the log, and the others go on."""
    from flows import alerts

    for part in (_crash_dead_runs, lambda: alerts.watch_runs(now)):
        try:
            part()
        except Exception as error:  # the server or a disk is away: this is what must not end
            log.error("%s: %s", type(error).__name__, error)


def _crash_dead_runs() -> None:
    from prefect.client.orchestration import get_client

    from flows import leftovers

    with get_client(sync_client=True) as client:
        for name in leftovers.crash_dead_runs(client):
            log.warning("%s was killed in the middle; Prefect knows now", name)


if __name__ == "__main__":
    main()
