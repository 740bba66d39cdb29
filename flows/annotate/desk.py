"""What the page has at hand: lines, who is signed in, a room per line, names of people, guidelines."""

import threading
from collections.abc import Mapping
from pathlib import Path

from flows.annotate.room import Room
from flows.annotate.worker import Worker
from flows.annotate_settings import AnnotatePageSettings
from flows.settings import labels
from flows.web.lines import Lines, Named
from flows.web.sessions import Sessions
from serving.security import Keys
from tasks.annotation.events import person_id
from tasks.core.line import Line

GUIDELINES = "guidelines.md"
LONGEST_GUIDELINES = 2**18  # bytes


class Desk:
    """One per process."""

    def __init__(self, settings: AnnotatePageSettings, keys: Keys) -> None:
        """Raises SettingsError where params.yaml is wrong."""
        self.keys = keys
        self.sessions = Sessions(keys, settings.session_hours, settings.logins_per_minute)
        self._lines = Lines()
        self._rooms: dict[str, Room] = {}
        self._names: dict[str, str] = {}
        self._lock = threading.Lock()

    def lines(self) -> Mapping[str, Named]:
        """The lines of params.yaml, by name."""
        return self._lines()

    def links(self) -> Mapping[str, str]:
        """None: who labels stays here."""
        return {}

    def room(self, line: str) -> Room:
        """Where a line is labelled."""
        with self._lock:
            return self._rooms.setdefault(line, Room(Line(line)))

    def warm(self) -> None:
        """Read the journals in the background: a long one takes seconds, and nobody should wait for that."""
        rooms = [self.room(line) for line in self.lines()]
        threading.Thread(target=lambda: [room.counts() for room in rooms], name="warm", daemon=True).start()

    def labels(self, line: str) -> list[str]:
        """What can be answered. Raises DataError where nobody knows it yet."""
        return labels(line, self.lines()[line].settings)

    def meet(self, who: Worker) -> None:
        """Remember a name for as long as this process lives; team.yaml knows its people better."""
        self._names[who.id] = who.session.name

    def name(self, person: str) -> str:
        """What people call a person; the person's id where nobody here knows them."""
        team = self.keys.team
        known = {person_id(one.name, team): one.name for one in team.members if one.kind == "person"} if team else {}
        return known.get(person) or self._names.get(person, person)

    def guidelines(self, line: str) -> str:
        """How to label, as HTML; empty where nobody wrote it down. Markup in the file is shown as text."""
        from markdown_it import MarkdownIt

        named = self.lines()[line].settings.annotate.guidelines
        path = Path(named) if named else Line(line).folder / GUIDELINES
        try:
            with path.open("rb") as stream:
                text = stream.read(LONGEST_GUIDELINES).decode("utf-8", "replace")
        except OSError:
            return ""
        return str(MarkdownIt("commonmark", {"html": False}).enable("table").render(text))
