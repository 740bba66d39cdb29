"""The observations of the monitor: `.tidegate/monitor/<line>/<id>.json`, the report beside each as `<id>.html`."""

import logging
import secrets
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from tasks.core.files import read_json, write_json
from tasks.core.line import STATE
from tasks.drift.result import SCHEMA, Observation

log = logging.getLogger("tidegate")

FOLDER = STATE / "monitor"


def new_id(time: datetime) -> str:
    """`20261124T150405-f42401`: sorts by time, to the microsecond (five hex digits), and two of one differ mostly."""
    return f"{time.astimezone(UTC):%Y%m%dT%H%M%S}-{time.microsecond:05x}{secrets.token_hex(1)[0]}"


def time_of(name: str) -> datetime | None:
    """When an id was made; None for a name that is no id."""
    try:
        return datetime.strptime(name.partition("-")[0], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def path(line: str, observation: str) -> Path:
    """The record of an observation."""
    return FOLDER / line / f"{observation}.json"


def keep(observation: Observation) -> Path:
    """Write an observation; its file."""
    target = path(observation.line, observation.id)
    write_json(target, observation.model_dump(mode="json"))
    return target


def read(line: str, observation: str) -> Observation | None:
    """An observation by its id; None where there is none, or its record is broken or a newer program's."""
    try:
        found = Observation.model_validate(read_json(path(line, observation)))
    except FileNotFoundError:
        return None
    except (ValueError, ValidationError, OSError) as error:
        log.warning("%s is left out, it is not readable: %s", path(line, observation), str(error).splitlines()[0])
        return None
    return found if found.schema_version <= SCHEMA else None


def history(line: str, last: int | None = None, until: datetime | None = None) -> list[Observation]:
    """The observations of a line, oldest first; the `last` ones of those made at `until` or earlier."""
    names = sorted(file.stem for file in (FOLDER / line).glob("*.json") if not file.name.startswith("."))
    if until is not None:
        names = [name for name in names if (made := time_of(name)) is not None and made <= until]
    found = (read(line, name) for name in (names[-last:] if last is not None else names))
    return [one for one in found if one is not None]


def latest(line: str) -> Observation | None:
    """The newest observation of a line; None where there is none."""
    found = history(line, 1)
    return found[-1] if found else None


def last_time(line: str) -> datetime | None:
    """When the newest observation of a line was made, readable or not; None where there is none."""
    times = (time_of(file.stem) for file in (FOLDER / line).glob("*.json"))
    return max(filter(None, times), default=None)


def clear_halves(line: str) -> None:
    """Remove what a killed monitor of the line left half-written. To be called by the one that looks now."""
    for half in (FOLDER / line).glob(".*.tmp"):
        half.unlink(missing_ok=True)
