"""All lines of one service: follows their pointers, and swaps releases while requests are answered.

- A new release is loaded and warmed beside the old one, then one reference is switched. What was queued before is
  answered by the old one, which is let go with the last such request. A rollback is no different.
- What cannot be loaded is refused with the reason, and what served goes on. It is tried again when the pointer changes,
  and at growing intervals in case it was the network or the disk.
- Answers that people added or withdrew count from the next look on, for the release that serves and any later one.
- A deleted pointer withdraws its line. A serving folder that cannot be reached, or is empty because it is not mounted,
  changes nothing.
"""

import ctypes
import logging
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from serving.batcher import BatchSettings
from serving.deployment import Beside, Pointer, ServingFolder
from serving.errors import UnknownLine
from serving.line import RECOMMENDS, Refusal, Reply, ServedLine, Serving, Trial, as_role
from serving.log.record import Recorder, Role
from serving.metrics import Metrics
from serving.served import Choice, Served, load
from serving.traffic import Tally
from tasks.answer_base import Changes
from tasks.core.errors import StageError, TidegateError

log = logging.getLogger("tidegate")

FIRST_RETRY = 10.0  # seconds; doubled each time
LAST_RETRY = 300.0

__all__ = ["Hub", "Reply", "ServedLine"]


@dataclass
class _Watched:
    """A line, and what its pointer and the changes of its answers said when they were last looked at."""

    line: ServedLine
    seen: Pointer | str | None = None
    """The text is the reason why the pointer, or what was changed in the answers, could not be read."""
    changes: Changes | None = None
    wait: float = FIRST_RETRY
    retry: float = float("inf")
    """time.monotonic() at which what was refused is tried again."""


class Hub:
    """Serves the lines of a folder. `lines` restricts it to some of them; `poll_seconds` is how often it looks."""

    def __init__(
        self,
        folder: ServingFolder,
        cache: Path,
        settings: BatchSettings,
        metrics: Metrics,
        recorder: Recorder,
        *,
        poll_seconds: float = 1.0,
        lines: Sequence[str] | None = None,
    ) -> None:
        self.folder, self.cache, self.settings, self.metrics, self.recorder = folder, cache, settings, metrics, recorder
        self.poll_seconds = poll_seconds
        self._only = None if lines is None else frozenset(lines)
        self._watched: dict[str, _Watched] = {}
        self._needed: frozenset[str] | None = None
        self._told = ""
        self._swapped = False
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="pointers", daemon=True)

    def start(self) -> None:
        """Load every line that has a pointer, then follow the pointers.

        A line that is refused stays without a release until its pointer changes, and the service is not ready before.
        Raises TidegateError when the folder cannot be reached.
        """
        self._look()
        self._needed = frozenset(self._watched)
        if not self._needed:
            log.warning("No line has a pointer in %s yet; promote one.", self.folder.url)
        self._watcher.start()

    def stop(self, timeout: float = 30.0) -> bool:
        """Take no more requests and finish what is queued. False when that took longer than `timeout` seconds."""
        ends = time.monotonic() + timeout
        self._stopping.set()
        drained = [watched.line.close(max(0.0, ends - time.monotonic())) for watched in self._watched.values()]
        if self._watcher.is_alive():
            self._watcher.join(max(0.0, ends - time.monotonic()))
        return all(drained)

    def ready(self) -> bool:
        """Whether every line that had a pointer at the start has a release that answers, and there is one at all.

        A line that comes later and is refused does not take the others away.
        """
        lines = {name: watched.line.champion is not None for name, watched in list(self._watched.items())}
        needed = self._needed is not None and all(lines.get(name, True) for name in self._needed)
        return needed and any(lines.values()) and not self._stopping.is_set()

    def lines(self) -> list[str]:
        """The lines that have a pointer."""
        return sorted(self._watched)

    def line(self, name: str) -> ServedLine:
        """The line of that name. Raises UnknownLine."""
        try:
            return self._watched[name].line
        except KeyError:
            raise UnknownLine(name, self.lines()) from None

    def _watch(self) -> None:
        while not self._stopping.wait(self.poll_seconds):
            try:
                self._look()
                self._told = ""
            except TidegateError as error:
                if str(error) != self._told:
                    log.warning("%s What is loaded goes on serving.", error)
                self._told = str(error)
            except Exception:
                log.exception("the pointers could not be followed")

    def _look(self) -> None:
        """Take up every pointer that is new. Raises TidegateError when the folder cannot be reached."""
        if self._swapped:  # a poll ago: by now the old release has drained
            self._swapped = False
            give_back()
        names = [name for name in self.folder.lines() if self._only is None or name in self._only]
        for name in names:
            if not self._stopping.is_set():
                self._follow(name)
        for name in set(self._watched) - set(names):
            self._withdraw(name)

    def _follow(self, name: str) -> None:
        seen: Pointer | str | None
        changes = None
        try:
            seen = self.folder.pointer(name)
            changes = self._changes(name) if seen else None
            if seen and seen.line != name:
                seen = f"The pointer of the line {name} is one of the line {seen.line}. Promote or roll back again."
        except StageError as error:
            seen = str(error)
        if seen is None:
            return
        if name not in self._watched:
            line = ServedLine(name, self.settings, self.metrics, self.recorder)
            self._watched = {**self._watched, name: _Watched(line)}
        watched = self._watched[name]
        new = (seen, changes) != (watched.seen, watched.changes)
        if not new and time.monotonic() < watched.retry:
            return
        watched.seen, watched.changes = seen, changes
        refusals = self._refuse(seen) if isinstance(seen, str) else self._take_up(watched.line, seen, changes)
        for refusal in refusals if new else ():
            log.error("%s: %s %s is refused. %s", name, refusal.role, refusal.release or "pointer", refusal.reason)
            self.metrics.swaps.labels(name, "refused").inc()
        watched.line.refused = refusals[-1] if refusals else None
        watched.wait = FIRST_RETRY if new else min(2 * watched.wait, LAST_RETRY)
        watched.retry = time.monotonic() + watched.wait if refusals else float("inf")

    def _changes(self, name: str) -> Changes | None:
        """The changes of a line's answers; not asked for where the release that serves has no base of them."""
        champion = self._watched[name].line.champion if name in self._watched else None
        return self.folder.changes(name) if champion is None or champion.changeable else None

    def _refuse(self, reason: str) -> list[Refusal]:
        return [Refusal(None, "champion", reason, datetime.now(UTC))]

    def _take_up(self, line: ServedLine, pointer: Pointer, changes: Changes | None) -> list[Refusal]:
        """Load what the pointer names and is not loaded yet, change its answers, and switch; what had to be refused.

        A refused champion changes nothing. A refused canary or shadow is left out.
        """
        before = line.now
        changes = changes or Changes(line=line.name)
        loaded = {served.choice: served for served in before.all()} if before else {}
        try:
            champion = self._load(changes, Choice.of(pointer), loaded)
        except TidegateError as error:
            return [Refusal(pointer.release, "champion", str(error), datetime.now(UTC))]
        trials: dict[str, Trial] = {}
        refusals = []
        for role, rule in _besides(pointer).items():
            try:
                served = self._load(changes, Choice.of(pointer, rule), loaded)
                _comparable(served, champion)
            except TidegateError as error:
                refusals.append(Refusal(rule.release, role, str(error), datetime.now(UTC)))
                continue
            trials[role] = Trial(as_role(served, role, rule.version), rule, _tally(before, champion, role, rule))
        line.switch(Serving(pointer, as_role(champion, "champion", pointer.version), **trials))
        if before is None or before.champion.choice != champion.choice:
            log.info("%s: release %s (%s) serves", line.name, champion.release, pointer.version or "no version")
            self.metrics.swaps.labels(line.name, "swapped").inc()
            self._swapped = True
            self.folder.prune(
                line.name, _releases(pointer) | (_releases(before.pointer) if before else set()), self.cache
            )
        elif before.champion.changes != champion.changes:
            log.info("%s: change %d of its answers is taken up", line.name, len(champion.changes))
        return refusals

    def _load(self, changes: Changes, choice: Choice, loaded: dict[Choice, Served]) -> Served:
        """A release of the line that `changes` are of, with these changes of its answers."""
        line = changes.line
        try:
            served = loaded.get(choice) or load(self.folder, line, choice, self.cache, self.settings.threads)
            return served.changed(changes)
        except TidegateError:
            raise
        except Exception as error:  # a broken release may raise anything, and must not end the service
            log.exception("%s: release %s cannot be loaded", line, choice.release)
            raise StageError(f"Release {choice.release} cannot be loaded: {type(error).__name__}: {error}.") from error

    def _withdraw(self, name: str) -> None:
        """Stop serving a line whose pointer is gone while its releases are still there."""
        line = self._watched[name].line
        if line.champion and not self.folder.holds(name, line.champion.release):
            raise TidegateError(f"Nothing of the line {name} is in {self.folder.url} any more.")
        self._watched = {other: watched for other, watched in self._watched.items() if other != name}
        log.warning("%s: its pointer was deleted; the line is withdrawn", name)
        self.metrics.swaps.labels(name, "withdrawn").inc()
        line.close()


def give_back() -> None:
    """Hand what was freed back to the system: glibc keeps it, and hundreds of swaps would each scatter some more."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim:
        trim(0)


def _besides(pointer: Pointer) -> dict[Role, Beside]:
    found: dict[Role, Beside | None] = {"canary": pointer.canary, "shadow": pointer.shadow}
    return {role: rule for role, rule in found.items() if rule}


def _releases(pointer: Pointer) -> set[str]:
    return {pointer.release, *(rule.release for rule in _besides(pointer).values())}


def _comparable(served: Served, champion: Served) -> None:
    if served.kind == champion.kind == RECOMMENDS:
        return  # items come and go with every release; what is compared is the first of each list
    if (served.kind, served.labels) != (champion.kind, champion.labels):
        raise StageError(
            f"Release {served.release} is {served.kind} of {', '.join(served.labels)}, the champion "
            f"{champion.release} {champion.kind} of {', '.join(champion.labels)}: their answers cannot be compared."
        )


def _tally(before: Serving | None, champion: Served, role: Role, rule: Beside) -> Tally:
    """What was counted so far, where neither the rule nor the champion changed; else a new count."""
    trial = before and {"canary": before.canary, "shadow": before.shadow}[role]
    if before and trial and trial.rule == rule and before.champion.choice == champion.choice:
        return trial.tally
    return Tally(rule)
