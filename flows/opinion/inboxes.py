"""What the clean-up does about the inbox of a product: batches that were looked at become one."""

from flows.lock import hold
from tasks import consolidate as small
from tasks import inbox
from tasks.core.line import Line
from tasks.opinion.store import Store, file, opened
from tasks.sync import alone


def consolidate(line: Line, dry_run: bool = False) -> int:
    """Put batches together that looks have taken; returns how many were, or would be, no more.

    A batch put together counts as taken before the old ones go, so that killed at any moment no row is lost or looked
    at twice. Raises BusyError while a look or a sync goes on.
    """
    kept = file()
    if not line.inbox.exists() or not (kept is None or kept.exists()):
        return 0
    busy = f"A look of {line.name} goes on. Its inbox is left for the next time."
    with hold(f"opinion-{line.name}", busy), alone(line), opened() as engine:
        many = 0 if dry_run else _sweep(line)  # or what a killed one left would be counted in twice
        with engine.connect() as connection:
            names = [path.stem for path in inbox.batches(line)]
            done = set(names) - set(Store(connection, line.name).new_batches(names))
        groups = small.small(line, done)
        if dry_run:
            return sum(map(len, groups))
        for group in groups:
            made = small.merged(line, group)
            with engine.begin() as connection:
                Store(connection, line.name).done(made.stem)
        return many + _sweep(line)


def _sweep(line: Line) -> int:
    gone = small.superseded(line)
    for path in gone:
        path.unlink()
    return len(gone)
