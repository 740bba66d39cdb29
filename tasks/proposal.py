"""A Great Expectations suite proposed from a profile: what holds of the rows now, to be gone through and committed."""

from typing import Any, NamedTuple

import yaml

from tasks.profile import OTHERS

HEAD = """\
# Proposed from {rows:,} rows by `tidegate profile {line} --propose`. Nothing reads this file. Go through it, take into
# expectations.yaml what is right about every batch to come and not only about these rows, and commit that.
"""
ROOM = 4  # times the length of 99 in 100 texts, from which a text is taken for a dump
FEW = 100  # more distinct labels are no set of labels


class Proposed(NamedTuple):
    """An entry of an expectations.yaml, and what was seen of the rows that speaks for it."""

    entry: dict[str, Any]
    seen: str


def propose(profile: dict[str, Any]) -> list[Proposed]:
    """Expectations that these rows fulfil, but for rows that are to be quarantined."""
    parts = (_ids, _texts, _labels, _ratings, _sources, _dates, _table)
    return [proposed for part in parts for proposed in part(profile)]


def as_yaml(line: str, profile: dict[str, Any]) -> str:
    """The proposal as a file in the format of data/<line>/expectations.yaml, what was seen as comments."""
    blocks = [
        f"# {seen}\n{yaml.safe_dump([entry], sort_keys=False, allow_unicode=True, width=110)}"
        for entry, seen in propose(profile)
    ]
    return HEAD.format(rows=profile["rows"], line=line) + "\n" + "\n".join(blocks)


def _expect(name: str, column: str, severity: str, reason: str, seen: str, **arguments: Any) -> Proposed:
    content = {"expectation": f"expect_column_{name}", "column": column, **arguments}
    return Proposed(content | {"severity": severity, "reason": reason}, seen)


def _ids(profile: dict[str, Any]) -> list[Proposed]:
    repeated, rows = profile["repeated_texts"], max(1, profile["rows"])
    known = f"{profile['missing'].get('id', 0):,} rows have none, {profile['repeated_ids']:,} repeat an earlier one"
    return [
        _expect("values_to_not_be_null", "id", "reject", "a result could not be traced to its row", known),
        _expect("values_to_be_unique", "id", "quarantine", "the id is not unique", known),
        _expect("values_to_not_be_null", "split_key", "reject", "its side could not be told", "no row lacks it"),
        _expect(
            "proportion_of_unique_values_to_be_between", "split_key", "warn",
            "many more texts than before repeat others: scores would look surer than they are",
            f"{repeated / rows:.1%} of the texts repeat an earlier one",
            min_value=round(max(0.0, 0.98 - 2 * repeated / rows), 2),
        ),
    ]  # fmt: skip


def _texts(profile: dict[str, Any]) -> list[Proposed]:
    least, _, median, _, nearly_all, most = profile["lengths"]["characters"]
    longest = _round_up(max(ROOM * nearly_all, 100))
    blank = f"{profile['blank_texts']:,} rows have none"
    lengths = f"{least:,} to {most:,}, median {median:,}; 99 in 100 have {nearly_all:,} or fewer"
    return [
        _expect("values_to_not_be_null", "text", "quarantine", "there is no text", blank),
        _expect("values_to_match_regex", "text", "quarantine", "the text is blank", blank, regex=r"\S"),
        _expect(
            "values_to_be_between", "characters", "quarantine",
            f"the text has no character or more than {longest:,}", lengths, min_value=1, max_value=longest,
        ),
        _expect(
            "median_to_be_between", "characters", "warn", "the texts are half or twice as long as they were", lengths,
            min_value=median // 2, max_value=max(2, 2 * median),
        ),
    ]  # fmt: skip


def _labels(profile: dict[str, Any]) -> list[Proposed]:
    labels, absent = profile["labels"], profile["missing"].get("label", 0)
    if not labels or OTHERS in labels or len(labels) > FEW:
        return []
    seen = f"{len(labels)} labels; {absent:,} of {profile['rows']:,} rows have none"
    mostly = round(max(0.0, 0.99 - 1.5 * absent / profile["rows"]), 2)
    missing = {"severity": "warn", "mostly": mostly} if absent else {"severity": "quarantine"}
    return [
        _expect("values_to_be_in_set", "label", "quarantine", "the label is none of the known ones", seen,
                value_set=sorted(labels)),
        _expect("unique_value_count_to_be_between", "label", "reject", "a label has no row", seen,
                min_value=len(labels)),
        _expect("values_to_not_be_null", "label", reason="there is no label", seen=seen, **missing),
    ]  # fmt: skip


def _ratings(profile: dict[str, Any]) -> list[Proposed]:
    found = profile["ratings"]
    if "low" not in found or profile["missing"].get("ratings"):
        return []
    low, high, fewest = found["low"], found["high"], int(found["count_min"])
    seen = f"every row has {fewest} or more, from {low:g} to {high:g}"
    reasons = f"there are fewer than {fewest} ratings", f"a rating is below {low:g}", f"a rating is above {high:g}"
    return [
        _expect("values_to_be_between", "ratings_count", "quarantine", reasons[0], seen, min_value=fewest),
        _expect("values_to_be_between", "ratings_min", "quarantine", reasons[1], seen, min_value=low),
        _expect("values_to_be_between", "ratings_max", "quarantine", reasons[2], seen, max_value=high),
    ]


def _sources(profile: dict[str, Any]) -> list[Proposed]:
    sources = profile["sources"]
    if not sources or OTHERS in sources:
        return []
    reason, seen = "the source was not known when this was written", f"{len(sources)} of them"
    return [_expect("values_to_be_in_set", "source", "warn", reason, seen, value_set=sorted(sources))]


def _dates(profile: dict[str, Any]) -> list[Proposed]:
    if profile["missing"].get("created_at", profile["rows"]):
        return []
    return [_expect("values_to_not_be_null", "created_at", "warn", "there is no date", "every row has one")]


def _table(profile: dict[str, Any]) -> list[Proposed]:
    rows = profile["rows"]
    entry = {"expectation": "expect_table_row_count_to_be_between", "min_value": rows // 2, "severity": "warn"}
    return [Proposed(entry | {"reason": "half of the rows are gone"}, f"{rows:,} rows")]


def _round_up(value: float) -> int:
    """To two digits: 1,873 to 1,900."""
    scale = 10 ** max(0, len(str(int(value))) - 2)
    return int(-(-value // scale) * scale)
