"""`tidegate forget`: a person's texts out of log, inbox and caches, and a word on what cannot be reached."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from flows.dag import Dag
from flows.evidence import forget_examples
from flows.settings import LineSettings, load
from flows.store import STORE
from flows.traces import holding
from tasks import forgotten
from tasks.core.errors import BusyError, SettingsError
from tasks.core.line import STATE, Line
from tasks.forgotten import Subject
from tasks.sync import alone
from tasks.text import TextSettings, clean, split_key

WAIT = 30.0  # seconds for running services to drain their spools
RELEASES = ("releases", "serving", "served")
"""Folders of the state that hold releases: <folder>/<line>/.../<id>/."""
APART = ("predictions", "predictions.db", "predictions.db-wal", "predictions.db-shm", "prefect", "downloads", "models")
"""Of the state: the log, which is looked after by itself, and what holds no text of a line in a form of ours."""


@dataclass
class Report:
    """What was done, and what is left for people to do."""

    done: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return "\n".join([*self.done, *(["", "Not reached:", *(f"- {what}" for what in self.left)])])


def forget(line_name: str, request_ids: Sequence[str], row_ids: Sequence[str], texts: Sequence[str]) -> Report:
    """Erase rows of the log by request id, rows of the inbox by their id, and both by text, with the copies of them.

    Raises SettingsError where nothing is named or a text is empty, BusyError while a sync of the line runs.
    """
    if not (request_ids or row_ids or texts):
        raise SettingsError("Say what to forget: --id, --row-id, --text-file or --text-stdin.")
    if not all(text.strip() for text in texts):
        raise SettingsError("A text to be forgotten is empty. Give the whole text, as it was sent.")
    settings = load([line_name])[line_name]
    line, report = Line(line_name, settings.kind), Report()
    subject = subject_of(texts, row_ids, settings.text)
    if request_ids or texts:
        _from_log(line, request_ids, subject, report)
        _from_observations(line, report)
    if row_ids or texts:
        subject = _from_inbox(line, subject, settings, report)
        _from_queue(line, subject, report)
        _from_copies(line, subject, report)
    return report


def read_texts(files: Sequence[Path], stream: BinaryIO | None) -> list[str]:
    """One text per file and one of the stream, but for a last line end. Raises SettingsError where that cannot be."""
    try:
        contents = [file.read_bytes() for file in files] + ([stream.read()] if stream else [])
        return [content.decode("utf-8-sig").removesuffix("\n").removesuffix("\r") for content in contents]
    except OSError as error:
        raise SettingsError(f"{error.filename} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise SettingsError("A text to be forgotten is not UTF-8. Convert it with iconv first.") from None


def subject_of(texts: Iterable[str], row_ids: Iterable[str], text: TextSettings) -> Subject:
    """What is meant, as it is stored: each text as it came and as the line's text policy leaves it."""
    given = list(texts)
    forms = frozenset(form for each in given for form in (each, clean(each, text)))
    return Subject(forms, frozenset(split_key(each, text.split_salt) for each in given), frozenset(row_ids))


def _from_log(line: Line, request_ids: Sequence[str], subject: Subject, report: Report) -> None:
    from serving.log.database import connected
    from serving.log.drain import drain_leftovers
    from serving.log.forget import Wanted, erase, remember, wait_for_spools
    from serving.log.rows import content
    from serving.log.settings import load_log

    settings = load_log()
    keys = {settings.key(), None}
    contents = [bytes.fromhex(content(text, key)) for text in sorted(subject.texts) for key in keys]
    wanted = Wanted(line.name, request_ids, contents, sorted(subject.texts))
    with connected(settings.database()) as engine:
        remember(engine, wanted)
        drain_leftovers(settings)
        waiting = wait_for_spools(Path(settings.spool), WAIT)
        rows = erase(engine, wanted)
    report.done.append(f"prediction log: {rows} row(s) deleted and overwritten, their labels with them")
    if waiting:
        report.left.append(
            f"{len(waiting)} segment(s) of the spool in {settings.spool}: a service holds them and cannot reach the "
            "database. What is meant is left out when they are drained."
        )
    if subject.texts and settings.text != "masked" and settings.key() is None:
        report.left.append("rows of the log that were kept without text and without a key: give their --id")
    if engine.dialect.name == "postgresql":
        report.left.append("PostgreSQL's own write-ahead log, replicas and backups")


def _from_observations(line: Line, report: Report) -> None:
    """Examples of live texts are cut short, so that none can be told from another: all of them go."""
    try:
        seen = forget_examples(line.name)
    except BusyError:
        report.left.append(f"examples in the reports of {line.name}: a look at it is going on; give the command again")
        return
    if seen:
        report.done.append(f"reports of the monitor: examples of texts taken out of {seen} observation(s)")


def _from_inbox(line: Line, subject: Subject, settings: LineSettings, report: Report) -> Subject:
    """Take the rows out of the inbox, pin it anew; returns the subject with what the rows told."""
    from tasks import feeds, inbox

    with alone(line):
        taken = forgotten.take_out(line, subject, settings.text.split_salt)
        aside = feeds.discard(line)
        if taken.rows:
            if inbox.batches(line):
                Dag().add(line.inbox)
            else:
                line.inbox.with_name("inbox.dvc").unlink(missing_ok=True)
    report.done.append(f"inbox: {taken.rows} row(s) taken out of {len(taken.batches)} batch(es)")
    if aside:
        report.done.append(f"{feeds.FOLDER}: what interrupted syncs had set aside removed; the next sync reads it anew")
    report.done.append(f"{forgotten.path(line)} keeps them from coming back with the next sync; commit it")
    if taken.rows:
        report.left.append(f"earlier versions of the inbox, which the git history of {line.inbox}.dvc names")
    report.left.append("the sources themselves, and downloads of them in .tidegate/downloads")
    return replace(subject, ids=subject.ids | taken.ids, texts=subject.texts | taken.texts)


def _from_queue(line: Line, subject: Subject, report: Report) -> None:
    """Texts that people label, and what they said of them."""
    from tasks.annotation.journal import Journal

    if queued := Journal.of(line).forget(subject.texts, subject.ids):
        report.done.append(f"queue of the annotators: {queued} text(s) taken out, with what was said of them")
        report.left.append("tasks that were exported to Label Studio: delete them there")


def _from_copies(line: Line, subject: Subject, report: Report) -> None:
    """Look through the line's outputs, this machine's state and DVC's cache; remove what nothing needs."""
    bundle = line.folder / "release" / "bundle"
    if outputs := list(holding(line.folder, subject, frozenset({line.inbox, bundle}))):
        stages = sorted({path.relative_to(line.folder).parts[0] for path in outputs})
        report.left.append(f"outputs of {', '.join(stages)}: run `tidegate run {line.name}`, which makes them anew")
    found = list(holding(STATE, subject, frozenset(STATE / name for name in APART)))
    scratch = [path for path in found if path.is_relative_to(STATE / "scratch")]
    for path in scratch:
        path.unlink()
    if scratch:
        report.done.append(f"{STATE / 'scratch'}: {len(scratch)} file(s) of broken runs removed")
    released = [path for path in found if path.relative_to(STATE).parts[0] in RELEASES]
    released += holding(bundle, subject)
    report.left += _releases(line, released)
    report.left += [f"{path}: delete it by hand" for path in found if path not in scratch and path not in released]
    _from_cache(line, subject, bundle, report)


def _releases(line: Line, paths: list[Path]) -> list[str]:
    """Published releases are immutable; each is named once with the places that hold it."""
    from tasks.bundle import MANIFEST, release_id

    places: dict[str, set[str]] = {}
    for path in paths:
        folder = next(parent for parent in path.parents if (parent / MANIFEST).exists() or parent == STATE)
        if folder != STATE:
            places.setdefault(release_id(folder), set()).add(str(folder))
    return [
        f"release {name} of {line.name}, which holds the text and is immutable ({', '.join(sorted(where))}): "
        "promote a newer one, then delete it there and wherever it was copied to"
        for name, where in sorted(places.items())
    ]


def _from_cache(line: Line, subject: Subject, bundle: Path, report: Report) -> None:
    """Remove old versions from DVC's local cache; those that a release here is made of stay, and are told above."""
    dag = Dag()
    cache = Path(dag.repo.cache.local.path)
    kept = {_md5(path) for folder in (bundle, STORE / line.name) for path in folder.rglob("*.parquet")}
    removed = 0
    for path in holding(cache, subject):
        if path.parent.name + path.name not in kept:
            path.unlink()
            removed += 1
    report.done.append(f"DVC's cache: {removed} file(s) of old versions removed")
    if remotes := dag.repo.config["remote"]:
        report.left.append(
            f"DVC remote(s) {', '.join(sorted(remotes))}: after the next run and commit, "
            "`dvc gc --workspace --cloud` removes what older commits use (`--all-tags` keeps tagged releases)"
        )
    report.left.append("other clones, their caches, and backups")


def _md5(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
