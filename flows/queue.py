"""`tidegate queue`: texts for a team to label, those first whose labels teach most."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from flows.settings import LineSettings, of_texts
from tasks.annotation.events import Item, Why, item_id, suspect
from tasks.annotation.journal import Journal
from tasks.annotation.order import margins, order, unit
from tasks.annotation.pool import draw, languages, overlaps
from tasks.core.errors import SourceError, TidegateError
from tasks.core.line import Line
from tasks.core.progress import progress
from tasks.sources.tables import OF_COMMAND, Remedy, UnreadableTable
from tasks.text import clean

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

WAITING = 2_000
"""Texts of the queue, drawn by lot, to which new ones should not be like."""
SUSPECT = ("id", "text", "given", "suggested", "probability")
ADVICE: Mapping[Remedy, str] = {**OF_COMMAND, "columns": "Name the column of texts by --text."}
TOLD_WHY: dict[str, Why] = {"at random": "random", "unsure": "uncertain", "unfamiliar": "unfamiliar"}


@dataclass(frozen=True)
class _Seen:
    """Texts as a model sees them: vectors [texts, width], and its probabilities where it is the champion."""

    vectors: "NDArray[np.float32]"
    probabilities: "NDArray[np.float32] | None"
    labels: list[str]


def add_files(name: str, files: Sequence[Path], rows: int | None = None, text_column: str = "text") -> str:
    """Put texts of csv, tsv, jsonl or parquet files into a line's queue; what was done, in a sentence.

    Texts that have a label or are queued are left out, equal ones asked once. Of more than `annotate.candidates` so
    many are drawn by lot, always the same ones, and the `rows` (default: `annotate.rows`) chosen from these. The text
    policy is applied before anything is written, and nothing is where a file cannot be read to its end. Memory does not
    grow with the files. Raises SourceError for such a file, TidegateError where no text is left.
    """
    settings = of_texts(name)
    line, block = Line(name, settings.kind), settings.annotate
    journal = Journal.of(line)
    try:
        pool = draw(files, text_column, line, journal.items(), settings.text, block)
    except UnreadableTable as error:
        raise SourceError(error.advised(ADVICE)) from None
    texts = pool.texts
    if not texts:
        raise TidegateError(
            f"Of {pool.read:,} rows none is new to {name}: a text is left out where it is empty, has a label, is "
            "queued, or holds personal data that is set to `drop`."
        )
    waiting = _waiting(journal, block.seed)
    seen = _look(line, settings, [*texts, *waiting])
    new, known = np.split(seen.vectors, [len(texts)])
    margin = None if seen.probabilities is None else margins(seen.probabilities[: len(texts)])
    chosen = order(new, rows or block.rows, margin, block.random_share, block.seed, known)
    items = _items(texts, chosen, seen, settings)
    journal.add(items)
    whose = "by its base model: there is no champion" if seen.probabilities is None else "by its champion"
    return f"{_said(name, items)} They were chosen from {len(texts):,} new texts of {pool.read:,} rows, {whose}."


def add_wanted(name: str, rows: int | None = None) -> str:
    """Put rows of the prediction log into the queue, as `tidegate wanted` chooses them; what was done, said."""
    from flows.wanted import chosen

    settings = of_texts(name)
    line = Line(name, settings.kind)
    found = chosen(line, rows or settings.annotate.rows)
    if found.empty:
        raise TidegateError(f"The prediction log has no text of {name} that waits for a label (`tidegate log {name}`).")
    records = found.to_dict("records")
    extra = zip(overlaps(len(found), settings.annotate), languages(found["text"].tolist()), strict=True)
    items = [
        Item(
            id=item_id(row["text"]), text=row["text"], source="log", why=TOLD_WHY[row["why"]], rank=rank,
            overlap=people, suggested=row["label"], probability=float(row["confidence"]), language=language,
        )
        for rank, (row, (people, language)) in enumerate(zip(records, extra, strict=True))
    ]  # fmt: skip
    new = Journal.of(line).add(items)
    return f"{_said(name, items)} {new} of them were not queued before."


def add_suspects(name: str, file: Path) -> str:
    """Put likely label errors before the adjudicators; what was done, in a sentence.

    `file` is csv or jsonl with the columns SUSPECT: the row's id in ingest, its text, the label it has, the one that is
    suggested and the probability of that. The likeliest error comes first; the apostrophe that a csv has before a
    formula is taken off. Raises SourceError for another file.
    """
    settings = of_texts(name)
    table = _suspects(file, name)
    items = [
        suspect(
            str(row["id"]), clean(str(row["text"]), settings.text), str(row["given"]), str(row["suggested"]),
            float(row["probability"]), rank,
        )
        for rank, row in enumerate(table.to_dict("records"))
    ]  # fmt: skip
    new = Journal.of(Line(name, settings.kind)).add(items)
    return f"{len(items)} suspects of {name} wait for an adjudicator, {new} of them new."


def _suspects(file: Path, name: str) -> "pd.DataFrame":
    import pandas as pd

    from flows.wanted import plain

    as_json = file.suffix == ".jsonl"
    try:
        table = pd.read_json(file, lines=True, dtype=False) if as_json else pd.read_csv(file, dtype=str)
    except (OSError, ValueError) as error:
        raise SourceError(f"{file} cannot be read as csv or jsonl ({str(error).splitlines()[0][:120]}).") from None
    if missing := [column for column in SUSPECT if column not in table.columns]:
        raise SourceError(f"{file} has no column {', '.join(missing)}. `tidegate suspects {name}` writes such a file.")
    return table if as_json else table.assign(text=table["text"].map(plain, na_action="ignore"))


def _waiting(journal: Journal, seed: int) -> list[str]:
    waiting = [one.item.text for one in journal.state().ranked() if one.state == "open" and one.item.overlap]
    return [waiting[place] for place in np.random.default_rng(seed).permutation(len(waiting))[:WAITING]]


def _look(line: Line, settings: LineSettings, texts: list[str]) -> _Seen:
    """By the line's champion, or where there is none by its base model."""
    from flows.examine import current_champion
    from flows.registry import folder, named

    assigned = current_champion(line)
    if assigned is None:
        from tasks.annotation.embed import embed
        from tasks.encoders import locate

        vectors = embed(texts, locate(settings.train.base_model), settings.train.max_length)
        return _Seen(vectors, None, settings.label.labels)
    from tasks.inference import Model

    model = Model.load(folder(line, named(line.name, assigned.version)))
    found = []
    with progress("look", len(texts)) as bar:
        for start in range(0, len(texts), 1_000):
            found.append(model.predict(texts[start : start + 1_000], cleaned=True))
            bar.update(len(texts[start : start + 1_000]))
    probabilities = np.concatenate([part.probabilities for part in found])
    return _Seen(unit(np.concatenate([part.embeddings for part in found])), probabilities, model.signature.labels)


def _items(
    texts: list[str], chosen: list[tuple[int, Why]], seen: _Seen, settings: LineSettings
) -> list[Item]:  # fmt: skip
    wanted = [texts[place] for place, _ in chosen]
    spoken, people = languages(wanted), overlaps(len(wanted), settings.annotate)
    items = []
    for rank, (place, why) in enumerate(chosen):
        guess: dict[str, Any] = {}
        if seen.probabilities is not None:
            best = int(seen.probabilities[place].argmax())
            guess = {"suggested": seen.labels[best], "probability": round(float(seen.probabilities[place, best]), 4)}
        items.append(
            Item(
                id=item_id(texts[place]), text=texts[place], why=why, rank=rank, overlap=people[rank],
                language=spoken[rank], **guess,
            )
        )  # fmt: skip
    return items


def _said(name: str, items: list[Item]) -> str:
    whys = ", ".join(f"{count} {why}" for why, count in Counter(item.why for item in items).items())
    several = sum(item.overlap > 1 for item in items)
    return f"{len(items)} texts are in the queue of {name} ({whys}), {several} of them for several people."
