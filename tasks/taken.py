"""What sync has taken so far: the inbox itself, and notes on this machine that make the next look cheap."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tasks import inbox
from tasks.core.errors import SourceError
from tasks.core.files import read_json, write_json
from tasks.core.line import STATE, Line
from tasks.sources.base import Mark, Piece, SourceBase
from tasks.sources.file import public
from tasks.standing import CHANGING, age


@dataclass
class Taken:
    """What the inbox holds, and what earlier syncs on this machine found out about sources."""

    line: Line
    batches: list[tuple[Path, dict[str, Any]]]
    memory: dict[str, Any]
    counters: dict[str, inbox.Counter] = field(default_factory=dict)

    @classmethod
    def of(cls, line: Line) -> "Taken":
        """Read the provenance of every batch of a line."""
        known = [(path, inbox.provenance(path)) for path in inbox.batches(line)]
        return cls(line, known, _remembered(_memory(line)))

    def has(self, source: SourceBase, piece: Piece) -> bool:
        """Whether the piece is known to be taken, without opening it."""
        digest = piece.sha256
        if digest is None and piece.stamp is not None:
            stamp, digest = self.memory.get(f"{source.name} {public(piece.uri)}", (None, None))
            digest = digest if stamp == piece.stamp else None
        return digest is not None and self.has_bytes(source, digest)

    def has_bytes(self, source: SourceBase, digest: str) -> bool:
        """Whether bytes with this digest were taken from this source, or brought nothing beyond the inbox as it is."""
        return self._holds(source, digest) or bool(self.memory.get(f"{source.name} {digest}") == self.state(source))

    def remember(self, source: SourceBase, piece: Piece, digest: str) -> None:
        """Keep what was found out, so that the next look is cheap. Losing it costs time only."""
        if piece.stamp is not None:
            self.memory[f"{source.name} {public(piece.uri)}"] = [piece.stamp, digest]
        if not self._holds(source, digest):
            self.memory[f"{source.name} {digest}"] = self.state(source)
        write_json(_memory(self.line), self.memory)

    def mark(self, source: SourceBase) -> Mark:
        """Where the last sync of a feed ended, as far as the batches before it are all there."""
        state, kept = self.memory.get(f"{source.name} mark", (None, None))
        if state == self.state(source):
            return Mark(**kept)
        last = self._last(source)
        return Mark() if last is None else Mark(**last[1]["mark"])

    def remember_mark(self, source: SourceBase, mark: Mark) -> None:
        """Keep where a sync ended that wrote no batch to say so."""
        self.memory[f"{source.name} mark"] = [self.state(source), asdict(mark)]
        write_json(_memory(self.line), self.memory)

    def link(self, source: SourceBase) -> dict[str, Any]:
        """What the next batch of a feed says of those before it, so that one deleted later is missed."""
        last = self._last(source)
        number = max((known["number"] for _, known in self.of_source(source)), default=0) + 1
        return {"number": number, "follows": None if last is None else last[0].stem}

    def refuse_other_reading(self, source: SourceBase) -> None:
        """Raise SourceError when a source's batches were read with other settings: both readings would mix."""
        for path, known in self.of_source(source):
            if known["reading"] != source.reading():
                raise SourceError(
                    f"Source {source.name!r} is set to be read otherwise (format, columns, member, ...) than it was "
                    f"for {path}, and batches are immutable. Give it another name to keep both, or delete its "
                    f"batches in {self.line.inbox} and sync again."
                )

    def rows(self, source: SourceBase) -> inbox.Counter:
        """The content keys of all rows taken from a source; where people change their minds, of the newest of each id.

        Else a label that was corrected twice, and is what it was at first, would count as known.
        """
        if source.name not in self.counters:
            counter = self.counters[source.name] = inbox.Counter()
            of_source = self.of_source(source)
            if any(known["kind"] in CHANGING for _, known in of_source):
                newest = {row or key: key for path, _ in sorted(of_source, key=age) for row, key in inbox.row_ids(path)}
                counter.add(inbox.content_keys([*newest.values()]))
                return counter
            for path, _ in of_source:
                counter.add(inbox.content_keys(inbox.row_keys(path)))
        return self.counters[source.name]

    def add(self, path: Path) -> None:
        """Count in a batch that was just written."""
        known = inbox.provenance(path)
        self.batches = sorted([*self.batches, (path, known)], key=lambda batch: batch[0])
        if known["kind"] in CHANGING:
            self.counters.pop(known["source"], None)
        else:
            self.counters[known["source"]].add(inbox.content_keys(inbox.row_keys(path)))

    def of_source(self, source: SourceBase) -> list[tuple[Path, dict[str, Any]]]:
        """The batches of one source with their provenance."""
        return [(path, known) for path, known in self.batches if known["source"] == source.name]

    def state(self, source: SourceBase) -> list[str]:
        """Changes whenever the source is read otherwise or its batches are others."""
        return [source.reading(), *(path.stem for path, _ in self.of_source(source))]

    def _holds(self, source: SourceBase, digest: str) -> bool:
        """Whether a batch has bytes with this digest; one of many that became one (tasks.consolidate) tells of all."""
        return any(digest in (told["sha256"], *told.get("digests", ())) for _, told in self.of_source(source))

    def _last(self, source: SourceBase) -> tuple[Path, dict[str, Any]] | None:
        """The newest batch of a feed that follows, over batches that are all there, on the first."""
        there: set[str | None] = {None}
        last = None
        for path, known in sorted(self.of_source(source), key=lambda batch: batch[1]["number"]):
            if known["follows"] in there:
                there |= {path.stem, *known.get("was", ())}  # `was`: before rows were forgotten
                last = path, known
        return last


def _memory(line: Line) -> Path:
    return STATE / "sync" / f"{line.name}.json"


def _remembered(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
