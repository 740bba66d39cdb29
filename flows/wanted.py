"""`tidegate wanted`: the rows of live traffic whose labels would tell most, as a file for annotators."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flows.examine import current_champion, release_of
from flows.registry import Assigned, folder, named
from flows.settings import of_texts
from tasks.bundle import load_release
from tasks.core.errors import SettingsError, TidegateError
from tasks.core.files import atomic, read_parquet
from tasks.core.line import STATE, Line
from tasks.drift.wanted import most_telling

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from serving.log.read import Chunk

FOLDER = STATE / "wanted"
LOOK_AT = 20_000
"""The newest rows that are chosen from."""
COLUMNS = ["request_id", "position", "text", "label", "confidence", "margin"]
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What begins a formula in a spreadsheet."""


def export(name: str, target: Path | None, rows: int) -> str:
    """Write the rows that would tell most, with a column `true_label` to be filled; what was done, in a sentence.

    Labels come back one by one to the service's `/feedback`, under request_id and position. Raises SettingsError for
    another ending than csv or jsonl, TidegateError where there is no champion, or no row to choose from.
    """
    target = target or FOLDER / f"{name}.csv"
    check_ending(target)
    line = Line(name, of_texts(name).kind)
    found = chosen(line, rows)
    if found.empty:
        raise TidegateError(
            f"The prediction log has no row of {name} that its champion answered, with a text and without a label. "
            f"`tidegate log {name}` shows what it holds; with serving.log.text: hmac or off it keeps no texts."
        )
    write_rows(found, target)
    counts = ", ".join(f"{number} {why}" for why, number in found["why"].value_counts(sort=False).items())
    return f"{len(found)} rows of {name} are in {target} ({counts}). Fill true_label, from the top."


def write_rows(rows: "pd.DataFrame", target: Path) -> None:
    """Write rows with a column `text` as csv, in which no text is a formula to a spreadsheet, or as jsonl.

    Raises SettingsError for another ending.
    """
    check_ending(target)
    with atomic(target) as temporary:
        if target.suffix == ".csv":
            rows.assign(text=[harmless(text) for text in rows["text"]]).to_csv(temporary, index=False)
        else:
            rows.to_json(temporary, orient="records", lines=True, force_ascii=False)


def harmless(text: str) -> str:
    """A text as a csv has it, with an apostrophe before what a spreadsheet would take for a formula."""
    return f"'{text}" if _formula(text) else text


def plain(text: str) -> str:
    """The text that `harmless` made this of."""
    return text[1:] if text.startswith("'") and _formula(text) else text


def _formula(text: str) -> bool:
    """Apostrophes before a formula count with it, so that taking one off is certain."""
    return text.lstrip("'").startswith(FORMULA)


def check_ending(target: Path) -> None:
    """Raise SettingsError unless a file's name ends with .csv or .jsonl."""
    if target.suffix not in (".csv", ".jsonl"):
        raise SettingsError(f"The file was given as {target.name}; it can end with .csv or .jsonl.")


def chosen(line: Line, rows: int) -> "pd.DataFrame":
    """The rows as a table: request_id, position, text, label, confidence, why, true_label."""
    pool, margin, projection = _pool(line)
    chosen = most_telling(pool["text"].tolist(), margin, projection, _reference(line, projection.shape[1]), rows)
    return pool.iloc[[place for place, _ in chosen]].assign(why=[why for _, why in chosen], true_label="")


def _pool(line: Line) -> "tuple[pd.DataFrame, NDArray[np.float32], NDArray[np.float32]]":
    """The newest rows that the champion answered, with a text and without a label; their margins and projections.

    The projections have no column where they are not all of one kind.
    """
    import pandas as pd

    from serving.log.database import connected
    from serving.log.read import window
    from serving.log.settings import load_log

    release, settings = release_of(line, _champion(line)), load_log()
    frames, projections = [pd.DataFrame(columns=COLUMNS)], [np.empty((0, 0), np.float32)]
    with connected(settings.database()) as engine:
        for chunk in window(engine, line.name, last=LOOK_AT) if settings.text == "masked" else ():
            usable = [n for n in range(len(chunk)) if _usable(chunk, n, release)]
            if usable:
                frames.append(_frame(chunk).iloc[usable])
                projections.append(chunk.projection[usable])
    pool = pd.concat(frames[1:] or frames, ignore_index=True)
    alike = len({part.shape[1] for part in projections[1:]}) == 1
    joined = np.concatenate(projections[1:]) if alike else np.empty((len(pool), 0), np.float32)
    return pool.drop(columns="margin"), pool["margin"].to_numpy(np.float32), joined


def _champion(line: Line) -> Assigned:
    found = current_champion(line)
    if found is None:
        raise TidegateError(f"{line.name} has no champion, so that nothing was answered. `tidegate promote` first.")
    return found


def _usable(chunk: "Chunk", row: int, release: str | None) -> bool:
    text = chunk.text[row]
    return chunk.release[row] == release and chunk.true_label[row] is None and text is not None and bool(text.strip())


def _frame(chunk: "Chunk") -> "pd.DataFrame":
    import pandas as pd

    ordered = np.sort(np.nan_to_num(chunk.probabilities), axis=1)  # NaN behind the classes of a smaller release
    values = (chunk.request_id, chunk.position, chunk.text, chunk.label, chunk.confidence.round(4))
    return pd.DataFrame(dict(zip(COLUMNS, (*values, ordered[:, -1] - ordered[:, -2]), strict=True)))


def _reference(line: Line, width: int) -> "NDArray[np.float32]":
    """The champion's own rows, projected as the log projects; none without projections."""
    from serving.log.projection import project

    if not width:
        return np.empty((0, 0), np.float32)
    bundle = folder(line, named(line.name, _champion(line).version))
    variant = load_release(bundle).admissible[0]
    embedding = np.stack(read_parquet(bundle / f"reference/{variant}.parquet", ["embedding"])["embedding"].to_list())
    return project(embedding.astype(np.float32), width).astype(np.float32)
