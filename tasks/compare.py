"""Two releases on the same rows: which rows, both models' answers, what they say, and the record of it.

No stage: who is champion is state of the world. `tidegate compare` keeps what is written here with the challenger.
"""

import json
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from tasks import paired
from tasks.comparison import (
    SCHEMA,
    CompareSettings,
    Comparison,
    Counts,
    Difference,
    Part,
    objections,
    rounded,
    sentence,
)
from tasks.core.files import read_json, sha256, write_json, write_parquet, write_text
from tasks.kinds import load
from tasks.rivals import Release, digest, refuse, unseen

if TYPE_CHECKING:
    import pandas as pd

NAME = "comparison.json"
THIRDS = ("shortest third", "middle third", "longest third")


def compare(
    challenger: Release,
    champion: Release,
    settings: CompareSettings,
    out: Path,
    earlier: Mapping[str, Set[str]] | None = None,
) -> Comparison:
    """Score the challenger's test rows that neither release has seen with both, in ONNX Runtime; say what follows.

    `earlier` names the challengers that were compared before, by test set. Writes comparison.json, rows.parquet (the
    kind's table of both models' answers, without texts) and compare.html into `out`. Raises SettingsError where the two
    cannot be compared, DataError where no row is left.
    """
    from tasks.compare_page import page

    refuse(challenger, champion)
    kind = load(challenger.manifest.kind, "compare")
    test = challenger.test()
    rows, excluded = unseen(test, challenger, champion)
    table = kind.answered(rows, challenger.model(), champion.model())
    name = digest(test)
    content = {
        "code": code(),
        "line": challenger.manifest.line,
        "challenger": challenger.side,
        "champion": champion.side,
        "settings": settings,
        "test_set": name,
        "test_rows": len(test),
        "excluded": excluded,
        "proposals": len({challenger.id, *(earlier or {}).get(name, ())}),
        **judge(table, kind, settings, champion.sources(), same=challenger.id == champion.id),
    }
    content["warnings"] = warnings(content, rows, challenger, champion)
    comparison = Comparison.model_validate(rounded(Comparison(**content).model_dump(mode="json")))
    write_parquet(out / "rows.parquet", table[kind.COLUMNS])
    write_text(out / "compare.html", page(comparison, table, challenger.manifest.kind))
    write_json(out / NAME, comparison.model_dump(mode="json"))
    return comparison


def kept(out: Path, challenger: Release, champion: Release, settings: CompareSettings) -> Comparison | None:
    """The comparison that `out` holds, where this program made it of these releases with these settings; else None."""
    found = read(out / NAME)
    wanted = (code(), challenger.side, champion.side, settings)
    same = found is not None and (found.code, found.challenger, found.champion, found.settings) == wanted
    return found if same and (out / "compare.html").exists() else None


def read(path: Path) -> Comparison | None:
    """A comparison.json; None where there is none, or another version of this program wrote it."""
    try:
        found = Comparison.model_validate(read_json(path))
    except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError, ValidationError):
        return None
    return found if found.schema_version == SCHEMA else None


def code() -> str:
    """Names the modules and templates that a comparison may depend on: 12 hex of the sha256 of tasks/."""
    return sha256(Path(__file__).parent)[:12]


def judge(
    table: "pd.DataFrame", kind: Any, settings: CompareSettings, known: Set[str], same: bool = False
) -> dict[str, Any]:
    """What the table of answers says: the fields of Comparison from `differences` on, but for the warnings.

    `known` are the champion's sources; `same` says that both answers are one release's, so that nothing is estimated.
    """

    deciding = settings.decide_by

    def part(by: str, name: str, rows: "pd.Series[bool]") -> Part:
        return Part(by=by, name=name, found=measured(table[rows], deciding, kind, settings, same))

    found = [measured(table, metric, kind, settings, same) for metric in settings.metrics]
    overall = found[settings.metrics.index(deciding)]
    old = table["source"].isin(known)
    ages = {} if old.all() else {"old": old, "new": ~old}
    sources = [part("sources", name, rows) for name, rows in ages.items() if rows.any()]
    against = objections(overall, sources, settings)
    return {
        "differences": found,
        "mcnemar_p": paired.mcnemar(*_won_lost(table)),
        "counts": _counts(table),
        "sources": sources,
        "slices": [
            part(by, name, rows) for by, names in _slices(table, kind).items() for name, rows in _parts(by, names)
        ],
        "outcome": overall.outcome,
        "accepted": not against,
        "objections": against,
        "sentence": sentence(overall, same),
    }


def measured(part: "pd.DataFrame", metric: str, kind: Any, settings: CompareSettings, same: bool = False) -> Difference:
    """The difference of one metric on some rows: Tango's interval for accuracy, the kind's bootstrap for any other."""
    rows = len(part)
    if metric == "accuracy":
        ours, theirs = (float(part[f"{whose}_right"].mean()) for whose in ("challenger", "champion"))
        won, lost = _won_lost(part)

        def interval(number: float) -> tuple[float, float]:
            return paired.tango(won * number / rows, lost * number / rows, number, settings.confidence)

        low, high = interval(rows)
    else:
        ours, theirs, low, high = kind.bootstrapped(part, metric, settings)

        def interval(number: float) -> tuple[float, float]:
            return paired.narrowed(ours - theirs, low, high, number / rows)

    low, high = (0.0, 0.0) if same else (low, high)
    outcome = paired.outcome(low, high, settings.margin)
    return Difference(
        metric=metric,
        rows=rows,
        challenger=ours,
        champion=theirs,
        difference=ours - theirs,
        low=low,
        high=high,
        outcome=outcome,
        rows_needed=paired.rows_needed(interval, rows, settings.margin) if outcome == "undecided" else None,
    )


def _won_lost(part: "pd.DataFrame") -> tuple[int, int]:
    ours, theirs = part["challenger_right"], part["champion_right"]
    return int((ours & ~theirs).sum()), int((theirs & ~ours).sum())


def _counts(table: "pd.DataFrame") -> Counts:
    won, lost = _won_lost(table)
    both = int((table["challenger_right"] & table["champion_right"]).sum())
    return Counts(both=both, challenger=won, champion=lost, neither=len(table) - both - won - lost)


def _slices(table: "pd.DataFrame", kind: Any) -> dict[str, "pd.Series[Any]"]:
    return {"source": table["source"], "length": _thirds(table["text"]), **kind.slices(table)}


def _thirds(text: "pd.Series[str]") -> "pd.Series[Any]":
    """Thirds by length in characters, so that scripts without spaces are cut as well; equal lengths share a third."""
    import pandas as pd

    lengths = text.str.len()
    edges = np.quantile(lengths, [1 / 3, 2 / 3])
    return pd.Series(np.array(THIRDS, dtype=object)[np.searchsorted(edges, lengths)], index=text.index)


def _parts(by: str, names: "pd.Series[Any]") -> Iterator[tuple[str, "pd.Series[bool]"]]:
    """The parts of a slicing, thirds in their order and names by the alphabet; none where there is but one."""
    present = set(names)
    ordered = [name for name in THIRDS if name in present] if by == "length" else sorted(present)
    if len(ordered) > 1:
        for name in ordered:
            yield str(name), names == name


def warnings(content: Mapping[str, Any], rows: "pd.DataFrame", challenger: Release, champion: Release) -> list[str]:
    """What a reader should know before trusting the outcome."""
    said, limit = [], content["settings"].max_proposals
    if challenger.id == champion.id:
        said.append(f"Challenger and champion are the same release, {champion.id}.")
    if content["proposals"] > limit:
        said.append(
            f"{content['proposals']} challengers have been compared on this test set, more than {limit}: the best of "
            "many is partly luck. Take in new rows before the next one."
        )
    if absent := sorted(champion.judging() - set(rows["source"])):
        said.append(f"No row of {', '.join(absent)}, by which the champion was judged, is among those compared.")
    return said
