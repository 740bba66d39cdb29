"""Taking from a feed: rows in portions, kept aside until all are there, so that a killed sync goes on."""

import contextlib
import logging
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks import inbox
from tasks.core.files import read_json, write_json
from tasks.core.line import STATE, Line
from tasks.core.progress import progress
from tasks.forgotten import Listed
from tasks.fresh import Found, Fresh, batch, latest
from tasks.policy_report import Treated, total
from tasks.rows import BATCH
from tasks.sources.base import FeedSettings, Mark, Portion, StalePlaceError
from tasks.sources.records import agree
from tasks.taken import Taken
from tasks.text import TextSettings

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

log = logging.getLogger("tidegate")

FOLDER = STATE / "sync"
"""Where portions are kept aside, in <line>-<source>/."""


@contextlib.contextmanager
def collected(
    line: Line, source: FeedSettings, text: TextSettings, taken: Taken, told: dict[str, Any]
) -> Iterator[Iterator["pa.Table"]]:
    """The new rows of a feed as BATCH tables, when all were read; `told` then has the counts and the mark.

    What was read lies cleaned and masked in .tidegate/sync/<line>-<source>/ and is read on from there when a sync was
    killed. It is removed when the block ends well.
    """
    last = taken.mark(source)
    listed = Listed.of(line, text.split_salt)
    key = [taken.state(source), told["text"], told["salt"], listed.digest()]
    aside = Aside(FOLDER / f"{line.name}-{source.name}", key)
    before = source.population(last)
    try:
        _read(source, text, taken, listed, last, aside)
    except StalePlaceError:
        log.info("Source %s: the place where an earlier sync stopped is gone; reading begins anew.", source.name)
        aside.begin()
        _read(source, text, taken, listed, last, aside)
    found = aside.told
    told |= {name: found[name] for name in ("rows", "duplicates", "watermark", "changed", "dropped")}
    told["mark"] = asdict(_mark(source, last, found, before))
    told |= _changes(source, taken, last, aside, before)
    yield aside.tables()
    aside.remove()


def discard(line: Line) -> bool:
    """Throw away what interrupted syncs of a line left. Call it with the inbox held (tasks.sync.alone)."""
    folders = [path for path in FOLDER.glob(f"{line.name}-*") if path.is_dir()]
    for folder in folders:
        shutil.rmtree(folder)
    return bool(folders)


def _read(source: FeedSettings, text: TextSettings, taken: Taken, listed: Listed, last: Mark, aside: "Aside") -> None:
    """Take portion after portion aside.

    Where a portion without news ends the reading it must hold a known row: one of which all rows were left out, as
    those to be forgotten or dropped are, says nothing of those behind it.
    """
    fresh = Fresh(taken.rows(source), listed, source.equal_rows_are_one, source.told_apart_by)
    fresh.seen.add(aside.numbers("keys"))
    place = aside.told["place"]
    types = agree(last.types, aside.told["types"], source.address())
    with progress(f"sync {source.name}", None, done=aside.told["read"]) as bar:
        for portion in source.feed(Mark(types=last.types) if source.whole else last, place):
            types = agree(types, portion.types, source.address())
            found, treated = fresh.rows(portion.table), Treated(text)
            rows = batch(portion.table, found, source.name, treated)
            aside.add(portion, found, rows, types, treated.told())
            bar.update(portion.table.num_rows)
            if source.ends_at_known and not rows.num_rows and (found.known or not portion.table.num_rows):
                return


def _mark(source: FeedSettings, last: Mark, found: dict[str, Any], before: int | None) -> Mark:
    """Where this sync ended: where the last one did if nothing came."""
    earlier = 0 if source.whole or last.end is None else before
    population = None if earlier is None else earlier + found["read"]
    return Mark(last.end if found["end"] is None else found["end"], last.types | found["types"], population)


def _changes(source: FeedSettings, taken: Taken, last: Mark, aside: "Aside", before: int | None) -> dict[str, Any]:
    """What became of rows that were taken before, said and for the provenance."""
    if source.whole and "id" in source.columns:
        return _compared(source, taken, aside)
    if before is None or last.population is None or before == last.population:
        return {}
    missing = last.population - before
    if missing > 0:
        log.warning(
            "Source %s: %d rows taken earlier are no longer where they were: deleted, or changed and so taken anew. "
            "The inbox keeps them. `changes: compare` tells which.", source.name, missing,
        )  # fmt: skip
    else:
        log.warning(
            "Source %s: %d rows came late, behind the watermark of the last sync, and were not taken. "
            "`changes: compare` takes them.", source.name, -missing,
        )  # fmt: skip
    return {"missing": missing}


def _compared(source: FeedSettings, taken: Taken, aside: "Aside") -> dict[str, Any]:
    """Changed: new content under a known id. Gone: a known id that did not come."""
    import numpy as np

    known = [inbox.hashed(_ids(path)) for path, _ in taken.of_source(source)]
    if not known:
        return {}
    ids = np.unique(np.concatenate(known))
    changed = int(np.isin(np.unique(aside.numbers("new")), ids).sum())
    gone = int((~np.isin(ids, aside.numbers("met"))).sum())
    if changed or gone:
        log.warning(
            "Source %s: of the rows taken earlier %d have changed, which were taken anew, and %d are gone. "
            "The inbox keeps what they were.", source.name, changed, gone,
        )  # fmt: skip
    return {"changed": changed, "gone": gone}


def _ids(path: Path) -> list[str | None]:
    with inbox.opened(path) as file:
        ids: list[str | None] = file.read(columns=["id"])["id"].to_pylist()
    return ids


@dataclass
class Aside:
    """Portions of one sync on disk, and where reading goes on after them.

    `key` names what they belong to: parts of another inbox, reading or policy are thrown away.
    """

    folder: Path
    key: list[Any]

    def __post_init__(self) -> None:
        try:
            self.told = read_json(self.folder / "state.json")
        except (OSError, ValueError):
            self.told = {}
        if self.told.get("key") != self.key or self.told["place"] is None:
            self.begin()
        else:
            log.info("Reading goes on after %d rows that an interrupted sync left.", self.told["read"])

    def begin(self) -> None:
        """Throw away what is there."""
        self.remove()
        self.folder.mkdir(parents=True, mode=0o700)
        self.told = {
            "key": self.key, "place": None, "end": None, "types": {}, "parts": 0, "read": 0, "rows": 0,
            "duplicates": 0, "watermark": None, "changed": {}, "dropped": {},
        }  # fmt: skip

    def add(
        self, portion: Portion, found: Found, rows: "pa.Table", types: dict[str, str], treated: dict[str, Any]
    ) -> None:
        """Write one portion: of all its rows the keys and ids, hashed, and its new rows as the inbox will hold them.

        `treated` is what the text policy did to them (Treated.told).
        """
        import pyarrow as pa

        told = self.told
        with pa.OSFile(str(self._part(told["parts"])), "wb") as sink, pa.ipc.new_file(sink, BATCH) as writer:
            writer.write_table(rows)
        self._append("keys", told["read"], found.keys)
        self._append("met", told["read"], inbox.hashed(portion.table["id"].to_pylist()))
        self._append("new", told["rows"], inbox.hashed(rows["id"].to_pylist()))
        told |= {
            "place": portion.place, "end": portion.end, "types": types, "parts": told["parts"] + 1,
            "read": told["read"] + portion.table.num_rows, "rows": told["rows"] + rows.num_rows,
            "duplicates": told["duplicates"] + found.known, "watermark": latest(told["watermark"], rows),
            **total([told, treated]),
        }  # fmt: skip
        write_json(self.folder / "state.json", told)

    def numbers(self, name: str) -> "np.ndarray":
        """The 64-bit numbers kept under a name, as far as they belong to whole portions."""
        import numpy as np

        path = self.folder / f"{name}.bin"
        many = self.told["rows" if name == "new" else "read"]
        return np.fromfile(path, np.uint64, many) if path.exists() else np.empty(0, np.uint64)

    def tables(self) -> Iterator["pa.Table"]:
        """The new rows in order."""
        import pyarrow as pa

        for number in range(self.told["parts"]):
            with pa.memory_map(str(self._part(number))) as source:
                table = pa.ipc.open_file(source).read_all()
                if table.num_rows:
                    yield table

    def remove(self) -> None:
        """Nothing of it is needed any more."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _part(self, number: int) -> Path:
        return self.folder / f"{number:06d}.arrow"

    def _append(self, name: str, at: int, numbers: "np.ndarray") -> None:
        """Numbers behind the first `at`; what a killed sync wrote beyond them is overwritten."""
        path = self.folder / f"{name}.bin"
        path.touch()
        with path.open("r+b") as stream:
            stream.truncate(8 * at)
            stream.seek(8 * at)
            stream.write(numbers.tobytes())
