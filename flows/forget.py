"""`tidegate forget`: a person's texts out of log, inbox and caches, and a word on what cannot be reached."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from flows.dag import Dag
from flows.evidence import forget_examples
from flows.forget_copies import Report, from_copies
from flows.forget_users import kept, of_users
from flows.lock import hold
from flows.settings import load, products
from tasks import forgotten, kinds
from tasks.core.errors import BusyError, SettingsError, TidegateError
from tasks.core.line import Line
from tasks.dialogue.settings import AnswerSettings
from tasks.forgotten import Subject
from tasks.opinion.settings import OpinionSettings
from tasks.sync import alone
from tasks.text import TextSettings, clean, split_key

WAIT = 30.0  # seconds for running services to drain their spools


def forget(
    name: str, request_ids: Sequence[str], row_ids: Sequence[str], texts: Sequence[str], users: Sequence[str] = ()
) -> Report:
    """Erase rows of the log by request id, rows of the inbox by their id or user, and both by text, with their copies.

    `name` is a line, or a product, whose headlines go. Raises SettingsError where nothing is named, a text or a user is
    empty or a product has no users, BusyError while a sync of the line or a look of the product runs.
    """
    if not (request_ids or row_ids or texts or users):
        raise SettingsError("Say what to forget: --id, --row-id, --user, --user-file, --text-file or --text-stdin.")
    if not all(text.strip() for text in texts):
        raise SettingsError("A text to be forgotten is empty. Give the whole text, as it was sent.")
    known = products().get(name)
    if known and users:
        raise SettingsError(f"{name} is a product, whose rows are of no user. Give a line, or a text.")
    if isinstance(known, AnswerSettings):
        return _of_dialogues(name, known, request_ids, row_ids, texts)
    if isinstance(known, OpinionSettings):
        return _of_product(Line(name), known, request_ids, subject_of(texts, row_ids, known.text))
    settings = load([name])[name]
    line, report = Line(name, settings.kind), Report()
    subject = replace(
        subject_of(texts, row_ids, settings.text), groups=forgotten.named(users, settings.text.split_salt)
    )
    in_rows = bool(row_ids or texts or users)
    if request_ids or texts:
        _from_log(line, request_ids, subject, report)
        _from_observations(line, report)
    if in_rows:
        subject = _from_inbox(line, subject, settings.text, report)
        _from_queue(line, subject, report)
        _from_answers(line, subject, report)
    _from_files(line, subject, request_ids, report)
    if users:
        of_users(line, subject, report)
    if in_rows:
        from_copies(line, subject, report)
        _in_products(subject, report)
    return report


def _of_product(line: Line, settings: OpinionSettings, request_ids: Sequence[str], subject: Subject) -> Report:
    from flows.opinion.forget import forget as from_opinions

    if request_ids:
        raise SettingsError(f"{line.name} is a product, which nobody sends requests. Give --row-id or a text.")
    report = Report()
    with hold(f"opinion-{line.name}", f"A look of {line.name} goes on. Wait for it to end, then forget again."):
        subject = _from_inbox(line, subject, settings.text, report)
        from_opinions(line, settings, subject, report)
    from_copies(line, subject, report)
    _in_products(subject, report, line.name)
    report.left.append("lines and their logs: `tidegate forget LINE` for each that may have the text")
    return report


def _of_dialogues(
    name: str, settings: AnswerSettings, request_ids: Sequence[str], row_ids: Sequence[str], texts: Sequence[str]
) -> Report:
    from flows.chat.forget import forget as from_dialogues

    report, policy = Report(), load([settings.answers])[settings.answers].text
    subject = subject_of(texts, row_ids, policy)
    from_dialogues(name, subject, request_ids, report)
    _in_products(subject, report, name)
    report.left.append(f"the log of {', '.join(settings.needed)}: `tidegate forget LINE` with the same")
    report.left.append("backups of the dialogues")
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


def _from_inbox(line: Line, subject: Subject, text: TextSettings, report: Report) -> Subject:
    """Take the rows out of the inbox, pin it anew; returns the subject with what the rows told."""
    from tasks import feeds, inbox

    pin = line.inbox.with_name("inbox.dvc")
    pinned = pin.exists()
    with alone(line):
        taken = forgotten.take_out(line, subject, text.split_salt)
        aside = feeds.discard(line)
        if taken.rows and pinned:
            if inbox.batches(line):
                Dag().add(line.inbox)
            else:
                pin.unlink()
    report.done.append(f"inbox: {taken.rows} row(s) taken out of {len(taken.batches)} batch(es)")
    if aside:
        report.done.append(f"{feeds.FOLDER}: what interrupted syncs had set aside removed; the next sync reads it anew")
    report.done.append(f"{forgotten.path(line)} keeps them from coming back with the next sync; commit it")
    if taken.rows and pinned:
        report.left.append(f"earlier versions of the inbox, which the git history of {line.inbox}.dvc names")
    report.left.append("the sources themselves, and downloads of them in .tidegate/downloads")
    own = taken.texts if kinds.load(line.kind, "settings").TEXTS else frozenset()  # an item's text is nobody's
    ids = subject.ids | taken.ids
    return replace(subject, ids=ids, texts=subject.texts | own | kept(line, ids))


def _from_queue(line: Line, subject: Subject, report: Report) -> None:
    """Texts that people label, and what they said of them."""
    from tasks.annotation.journal import Journal

    if queued := Journal.of(line).forget(subject.texts, subject.ids):
        report.done.append(f"queue of the annotators: {queued} text(s) taken out, with what was said of them")
        report.left.append("tasks that were exported to Label Studio: delete them there")


def _from_answers(line: Line, subject: Subject, report: Report) -> None:
    """Changes of answers lie beside what serves, in the serving folder."""
    from flows import answers
    from flows.deploy import serving_folder

    if line.kind != "retrieve":
        return
    folder = serving_folder()
    try:
        erased, withdrawn = answers.forget(line.name, subject)
    except TidegateError as error:
        report.left.append(f"the answers of {line.name}: {error}")
        return
    if erased:
        report.done.append(f"changes of answers: {erased} text(s) erased")
    if withdrawn:
        report.done.append(f"answers: {withdrawn} text(s) of the release withdrawn, so that they lead nowhere")
    if erased and not folder.local:
        report.left.append(f"earlier versions of answers.json, where {folder.url} keeps versions")


def _from_files(line: Line, subject: Subject, request_ids: Sequence[str], report: Report) -> None:
    """What commands wrote for people, under its usual name."""
    from flows.forget_files import from_files

    found = from_files(line.name, subject, request_ids)
    if found.rows:
        report.done.append(f"files of `tidegate suspects`, `pseudo` and `wanted`: {found.rows} row(s) taken out")
    if found.pages:
        report.done.append(f"pages of `tidegate label-report` and `profile`: {found.pages} deleted")
    report.left += [f"{path}, which could not be read: look, and delete it by hand" for path in found.unread]
    report.left.append("what commands wrote elsewhere with --output, and copies of it")


def _in_products(subject: Subject, report: Report, but: str = "") -> None:
    """Products have texts of their own, under their own text policy."""
    from flows.chat.forget import holds as said
    from flows.opinion.forget import holds

    for name, settings in products().items():
        if isinstance(settings, AnswerSettings):
            policy = load([settings.answers])[settings.answers].text
            has = name != but and said(name, subject_of(subject.texts, (), policy), report)
        else:
            has = name != but and holds(name, settings, subject_of(subject.texts, (), settings.text), report)
        if has:
            report.left.append(f"the product {name}, which has the text too: `tidegate forget {name}`")
