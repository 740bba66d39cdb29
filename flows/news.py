"""What an attempt of the loop can learn from: the sources as the last commit has them, and what would bring more."""

from pathlib import Path

from flows import world
from flows.dag import Dag
from flows.settings import LineSettings
from tasks import kinds
from tasks.core.errors import SourceError
from tasks.core.line import Line
from tasks.sources import FileSource, LogSource


def require_committed(settings: LineSettings) -> None:
    """Raise SourceError where a source's file lies in the project and is not in the worktree of the last commit."""
    for source in _own_files(settings):
        try:
            source.look()
        except SourceError:
            raise SourceError(
                f"Source {source.name!r}: {source.path} is not in the last commit, from which an attempt works. Commit "
                "it, or let `path:` name it by its whole path."
            ) from None


def taken_in(line: Line, settings: LineSettings) -> bool:
    """Take new rows of the sources into the inbox; whether there were any.

    A file that was checked out anew bears another time, which is no news by itself.
    """
    return world.has_news(line, settings) and bool(world.bring_in(line, settings, Dag()))


def wanted(line: Line, settings: LineSettings) -> str:
    """What would bring news, in a sentence: events, or labels where the line learns from live traffic."""
    if not kinds.load(line.kind, "settings").TEXTS:
        told = f"A line of kind {line.kind} learns from new events and items: bring them by its sources."
        own = ", ".join(source.path for source in _own_files(settings))
        return f"{told} Of {own} the last commit counts." if own else told
    least = next((source.min_new for source in settings.sources if isinstance(source, LogSource)), None)
    if least is None:
        return "A source of kind log would bring what people said of its answers."
    return f"It takes {least} new labels: `tidegate wanted {line.name}` exports the rows whose labels would tell most."


def _own_files(settings: LineSettings) -> list[FileSource]:
    files = (source for source in settings.sources if isinstance(source, FileSource) and not source.remote)
    return [source for source in files if not Path(source.path).is_absolute()]
