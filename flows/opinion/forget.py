"""What `tidegate forget` does of a product: headlines out of the database of opinions and out of alerts."""

from flows import alerts
from flows.forget_copies import Report
from flows.traces import holding
from tasks import inbox
from tasks.core.errors import TidegateError
from tasks.core.line import Line
from tasks.forgotten import Subject
from tasks.opinion.forget import erase, find
from tasks.opinion.settings import OpinionSettings
from tasks.opinion.store import Store, opened


def forget(line: Line, settings: OpinionSettings, subject: Subject, report: Report) -> None:
    """Erase a product's headlines. Call it while no look of the product can go on, after its inbox was seen to."""
    with opened() as engine:
        gone = erase(engine, line.name, subject, [feed.name for feed in settings.feeds])
        with engine.begin() as connection:
            _taken(Store(connection, line.name), line)
        elsewhere = engine.dialect.name == "postgresql"
    report.done.append(f"opinions: {len(gone.ids)} headline(s) deleted and overwritten; the next look draws the index")
    if elsewhere:
        report.left.append("PostgreSQL's own write-ahead log, replicas and backups")
    if told := alerts.forget(line.name, gone.texts | subject.texts):
        report.done.append(f"alerts: headlines taken out of {told}")
        report.left.append("messages with these headlines that were sent already")


def holds(name: str, settings: OpinionSettings, subject: Subject, report: Report) -> bool:
    """Whether a product has a headline with a text; where its database cannot be asked, that is reported."""
    if any(holding(Line(name).inbox, subject)):
        return True
    try:
        with opened() as engine, engine.connect() as connection:
            return bool(find(connection, name, subject, [feed.name for feed in settings.feeds]).ids)
    except TidegateError as error:
        report.left.append(f"the product {name}: {error}")
        return False


def _taken(store: Store, line: Line) -> None:
    """Batches that were written anew were looked at when they had their old names."""
    for batch in store.new_batches([path.stem for path in inbox.batches(line)]):
        was = inbox.provenance(line.inbox / f"{batch}.parquet").get("was", [])
        if was and not store.new_batches(was[-1:]):
            store.done(batch)
