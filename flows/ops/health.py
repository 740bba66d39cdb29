"""Whether a model still works, in one colour and one sentence."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from flows.alerts import Alert
from tasks.drift.result import Health, Observation, Severity

RANKS: dict[Health, int] = {"green": 0, "grey": 1, "amber": 2, "red": 3}
"""The worst counts: who knows nothing may not say that all is well."""
COLOURS: dict[Severity, Health] = {"none": "green", "notice": "green", "warning": "amber", "severe": "red"}


@dataclass(frozen=True)
class Note:
    """One thing that speaks for a colour. `said` is a key of the catalogue, `values` stand in its sentence."""

    colour: Health
    said: str
    values: dict[str, Any] = field(default_factory=dict)
    own_words: str = ""
    """A sentence that somebody else wrote, in English."""


@dataclass(frozen=True)
class Judged:
    """The worst colour, the note that says why, and whatever else is to be known."""

    colour: Health
    why: Note
    others: Sequence[Note]


def judge(
    champion: str | None, observation: Observation | None, alerts: Sequence[Alert], stale_hours: float, now: datetime
) -> Judged:
    """The health of a line, by the newest look at it and by the alerts that are open.

    `champion` is the release that is assigned to production.
    """
    notes = [*_of_observation(champion, observation, stale_hours, now), *_of_alerts(alerts)]
    notes.sort(key=lambda note: -RANKS[note.colour])
    return Judged(notes[0].colour, notes[0], notes[1:])


def stale(observation: Observation, hours: float, now: datetime) -> bool:
    """Whether a look is too long ago to say anything of now."""
    return now - _time(observation) > timedelta(hours=hours)


def _of_observation(
    champion: str | None, observation: Observation | None, stale_hours: float, now: datetime
) -> list[Note]:
    if champion is None:
        return [Note("grey", "health.no_champion")]
    if observation is None:
        return [Note("grey", "health.no_observation")]
    if observation.problem:
        colour = "amber" if observation.health == "green" else observation.health
        return [Note(colour, "health.problem", {}, observation.problem)]
    if observation.release != champion:
        return [Note("grey", "health.other_release", {"version": observation.version or observation.release or "–"})]
    found = _looked(observation)
    if stale(observation, stale_hours, now):
        age = Note("grey", "health.stale", {"hours": int((now - _time(observation)).total_seconds() // 3600)})
        return [age] if found.colour == "green" else [found, age]
    return [found]


def _looked(observation: Observation) -> Note:
    """What a look found."""
    if observation.health != "green":
        drifting = [check.name for check in observation.checks if check.drifted and check.severity != "none"]
        said = "health.drifts" if drifting else f"health.{observation.health}"
        return Note(observation.health, said, {"checks": drifting}, observation.reason)
    known, estimated = observation.accuracy_known, observation.accuracy_estimated
    if known is not None:
        return Note("green", "health.works_known", {"share": known.value, "rows": known.rows})
    if estimated is not None:
        return Note("green", "health.works_estimated", {"share": estimated.value, "rows": estimated.rows})
    return Note("green", "health.works", {"rows": observation.rows})


def _of_alerts(alerts: Sequence[Alert]) -> list[Note]:
    """A dead channel is no fault of the model: it is shown, and colours nothing."""
    return [
        Note(COLOURS[alert.severity], "health.alert", {}, alert.title)
        for alert in alerts
        if alert.open and alert.kind != "channel" and COLOURS[alert.severity] != "green"
    ]


def _time(observation: Observation) -> datetime:
    found = datetime.fromisoformat(observation.time)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
