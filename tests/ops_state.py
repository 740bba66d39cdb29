"""Made-up state of a project, as the ops page reads it: releases and tags, observations, alerts, attempts, a log."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import yaml

from flows import approvals, loop, observations, registry, store
from flows.alerts import FOLDER as ALERTS
from flows.alerts import Acknowledged, Alert, Delivery, Event
from flows.loop import Attempt
from flows.record import Compared, Record
from tasks.core.files import write_json, write_text
from tasks.core.line import STATE
from tasks.drift.result import Check, Figure, Observation, Skipped

LINE = "sentiment"
OLD, CHAMPION, CHALLENGER = "1f0c2d9e4a77", "98f0b782f763", "c3b5a1d0e9f2"
SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>"
CHECKS = {  # name: (statistic, limit, value without drift)
    "length": ("total variation", 0.1, 0.03),
    "language": ("total variation", 0.05, 0.004),
    "characters": ("total variation", 0.1, 0.02),
    "unknown": ("difference of shares", 0.05, 0.006),
    "text": ("AUC of a domain classifier", 0.6, 0.51),
    "embedding": ("AUC of a domain classifier", 0.6, 0.52),
    "prediction": ("total variation", 0.1, 0.02),
    "confidence": ("total variation", 0.1, 0.03),
    "performance": ("accuracy lost", 0.03, 0.002),
}
SAID = {
    "green": "Nothing drifts beyond its limit; 85.8% of 412 answers were right.",
    "amber": "The wording drifts (AUC 0.74): other words than in the release's rows. An estimated 4.1 points are lost.",
    "red": "Wording and meaning drift severely, and labels say that 12.4 points of accuracy are lost (358 labels).",
    "grey": "Only 12 rows came in the last day; 100 are needed to judge.",
}
DRIFTING = {
    "amber": ("text", "embedding"),
    "red": ("text", "embedding", "unknown", "performance"),
    "green": (),
    "grey": (),
}


def project(folder: Path, lines: tuple[str, ...] = (LINE,), team: dict | None = None) -> None:
    """params.yaml, a git repository and perhaps a team.yaml in the folder, which is the working directory."""
    block = {
        "kind": "classify",
        "text": {},
        "sources": [{"name": "made", "kind": "file", "path": "reviews.csv", "columns": {"text": "body"}}],
        "ingest": {},
        "validate": {},
        "label": {"by": "column", "labels": ["negative", "positive"]},
        "split": {},
        "train": {"base_model": {"kind": "folder", "path": "encoder", "sha256": "0" * 64}},
        "evaluate": {},
        "quality_gate": {"checks": [{"metric": "accuracy", "min": 0.6}]},
        "export": {},
        "release_gate": {},
        "release": {"title": "Sentiment of film reviews"},
    }
    content = {"lines": dict.fromkeys(lines, block), "serving": {"port": 1}, "ops": {"port": 0}}
    (folder / "params.yaml").write_text(yaml.safe_dump(content))
    (folder / ".gitignore").write_text("/.tidegate/\n")
    if team:
        (folder / "team.yaml").write_text(yaml.safe_dump(team))
    for command in (["init", "-q"], ["config", "user.name", "Mara"], ["config", "user.email", "mara@example.org"],
                    ["add", "-A"], ["commit", "-qm", "start"]):  # fmt: skip
        subprocess.run(["git", *command], cwd=folder, check=True)


def registered(line: str = LINE) -> None:
    """Three releases in the store: an earlier champion, the champion, and one that waits for an approver."""
    for release, day, accuracy in ((OLD, 20, 0.851), (CHAMPION, 6, 0.861), (CHALLENGER, 0, 0.874)):
        bundle(line, release, datetime.now(UTC) - timedelta(days=day, hours=2), accuracy)
    for release, version, before in ((OLD, "v0.1.0", None), (CHAMPION, "v0.2.0", "v0.1.0")):
        record = Record(
            action="promotion", line=line, version=version, release=release, manifest_sha256="0" * 64, variant="int8",
            by="Mara Lindqvist", email="mara@example.org", proof="API key", why="It is better on product reviews.",
            time=datetime.now(UTC).isoformat(timespec="seconds"), before=before,
        )  # fmt: skip
        registry.register(record, "HEAD")
        subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", version], check=True)
        registry.assign(record)


def bundle(line: str, release: str, made: datetime, accuracy: float) -> Path:
    """What the page reads of a release."""
    folder = store.STORE / line / release
    passed = {"verdict": "pass", "checks": [{"name": "accuracy", "value": accuracy, "outcome": "pass"}]}
    verdicts = {gate: {"gate": gate, **passed} for gate in ("validate", "quality_gate", "release_gate")}
    content = {"schema_version": 1, "line": line, "kind": "classify", "labels": ["negative", "positive"],
               "admissible": ["int8"], "files": {}, "inputs": {}, "params": {}, "verdicts": verdicts}  # fmt: skip
    write_json(folder / "manifest.json", content)
    write_json(folder / "evidence/evaluate_metrics.json", {"accuracy": accuracy})
    who = {"name": "Mara Lindqvist", "email": "mara@example.org"}
    write_json(folder / "provenance.json", {"time": made.isoformat(timespec="seconds"), "who": who})
    page = f"<!doctype html><title>{release}</title><style>h1 {{color: teal}}</style><h1>Model card {release}</h1>"
    for name in ("model_card.html", "evidence/quality_gate_gate.html", "evidence/release_gate_gate.html"):
        write_text(folder / name, f"{page}<p>{SCRIPT}</p>")
    return folder


def proposed(line: str = LINE) -> None:
    """The newest release waits for an approver."""
    found = Compared(
        champion="v0.2.0", outcome="better", metric="accuracy", rows=2101, difference=0.013, low=0.002, high=0.024,
        sentence="The challenger is better: 1.3 points more are right on 2,101 rows that neither model has seen.",
    )  # fmt: skip
    from tasks.core.line import Line

    approvals.propose(Line(line), CHALLENGER, "tidegate run", 60, found)


def observation(time: datetime, colour: str = "green", seed: int = 0, line: str = LINE, **more) -> Observation:
    """A look at a day of traffic. `more` are fields of Observation."""
    rng = np.random.default_rng([seed, int(time.timestamp())])
    if colour == "grey":
        checks, rows, labelled = [], 12, 0
    else:
        checks, rows = (
            [check(name, name in DRIFTING[colour], colour, rng) for name in CHECKS],
            int(rng.integers(1800, 2600)),
        )
        labelled = int(rows * 0.17)
    truth = {"green": 0.858, "amber": 0.82, "red": 0.735, "grey": 0.0}[colour]
    known = figure(truth + rng.normal(0, 0.008), labelled) if labelled else None
    given = {
        "id": observations.new_id(time),
        "line": line,
        "time": time.isoformat(timespec="seconds"),
        "release": CHAMPION,
        "version": "v0.2.0",
        "since": (time - timedelta(days=1)).isoformat(timespec="seconds"),
        "until": time.isoformat(timespec="seconds"),
        "rows": rows,
        "labelled": labelled,
        "rows_reference": 2101,
        "requests_per_hour": round(rows / 24 * (1 + 0.4 * np.sin(time.timestamp() / 13751)), 1),
        "latency_ms_p50": round(float(rng.normal(4.1, 0.3)), 2),
        "latency_ms_p95": round(float(rng.normal(9.5, 1.2)), 2),
        "checks": checks,
        "skipped": [] if checks else [Skipped(name="text", reason="There are 12 rows; 100 are needed.")],
        "accuracy_reference": figure(0.861, 2101),
        "accuracy_known": known,
        "accuracy_estimated": figure(truth + 0.01 + rng.normal(0, 0.006), rows - labelled, 0.035) if labelled else None,
        "cost": Figure(value=0.861 - known.value, low=0.861 - known.high, high=0.861 - known.low, rows=labelled)
        if known
        else None,
        "severity": {"amber": "warning", "red": "severe"}.get(colour, "none"),
        "health": colour,
        "reason": SAID[colour],
        "confirmed": colour == "red",
    }
    return Observation.model_validate({**given, **more})


def check(name: str, drifts: bool, colour: str, rng: np.random.Generator) -> Check:
    """One check, within its limit or far beyond it."""
    statistic, limit, usual = CHECKS[name]
    value = limit * (1.25 if colour == "amber" else 1.5) if drifts else abs(usual + rng.normal(0, limit / 40))
    severity = (
        {"amber": "warning", "red": "severe"}[colour]
        if drifts
        else "notice"
        if name == "length" and rng.random() < 0.12
        else "none"
    )
    return Check(
        name=name, statistic=statistic, value=round(float(value), 4), limit=limit, p=0.0002 if drifts else 0.4,
        p_adjusted=0.0018 if drifts else 1.0, drifted=drifts, severity=severity,
        reason=f"{statistic.capitalize()} {value:.2f}, limit {limit:g}." if drifts else "Within its limit.",
        rows_reference=2101, rows_current=2000, sampled=name in ("text", "embedding"), detectable=limit * 0.8,
        evidence={"terms": ["battery", "refund", "screen"]} if name == "text" else {},
    )  # fmt: skip


def figure(value: float, rows: int, half: float | None = None) -> Figure:
    """A share with about its 90 % interval."""
    half = half or 1.645 * np.sqrt(value * (1 - value) / max(1, rows))
    return Figure(
        value=round(value, 4), low=round(max(0, value - half), 4), high=round(min(1, value + half), 4), rows=rows
    )


def watched(colour: str, days: float = 7, every: float = 3, line: str = LINE, report: bool = True) -> list[Observation]:
    """A week of looks that ends in a colour: what is not green began two days ago. The last has a report."""
    now = datetime.now(UTC).replace(microsecond=0)
    times = [now - timedelta(hours=h, minutes=4) for h in np.arange(24 * days, -0.1, -every)]
    made = []
    for time in times:
        recent = now - time < timedelta(days=2)
        kind = (
            colour if recent and (colour != "red" or now - time < timedelta(days=1)) else "amber" if recent else "green"
        )
        kind = "green" if colour == "green" else kind
        made.append(observation(time, kind, line=line, report=None))
    if report:
        made[-1] = made[-1].model_copy(update={"report": f"{made[-1].id}.html"})
        write_text(
            observations.FOLDER / line / f"{made[-1].id}.html", f"<!doctype html><title>Report</title><p>{SCRIPT}"
        )
    for one in made:
        observations.keep(one)
    return made


def alert(kind: str, severity: str, title: str, reason: str, hours: float, line: str | None = LINE, **more) -> Alert:
    """An alert that was opened so many hours ago."""
    opened = datetime.now(UTC) - timedelta(hours=hours)
    time = opened.isoformat(timespec="seconds")
    made = Alert.model_validate(
        {
            "id": observations.new_id(opened), "line": line, "kind": kind, "severity": severity, "title": title,
            "reason": reason, "opened": time, "updated": time, "events": [Event(what="raised", time=time)],
            "deliveries": [Delivery(what="raised", event=0, time=time, channel="mailtos-1", ok=True)], **more,
        }
    )  # fmt: skip
    write_json(ALERTS / f"{made.id}.json", made.model_dump(mode="json"))
    return made


def alarmed(colour: str, line: str = LINE) -> list[Alert]:
    """The alerts that go with a colour; one of the past with all of them."""
    past = (datetime.now(UTC) - timedelta(days=12)).isoformat(timespec="seconds")
    made = [alert("run_missed", "warning", "sentiment: no look for 5 hours", "The last one is of 02:14 UTC.", 294,
                  line, resolved=past, why_resolved="The monitor looked again.")]  # fmt: skip
    if colour == "amber":
        made.append(alert("drift", "warning", "sentiment drifts", SAID["amber"], 9, line))
    if colour == "red":
        made.append(alert("drift", "severe", "sentiment drifts severely", SAID["red"], 22, line))
        seen = Acknowledged(by="Jonas Weber", why="Product reviews of the new partner; labels are ordered.",
                            time=datetime.now(UTC).isoformat(timespec="seconds"))  # fmt: skip
        made.append(alert("performance", "severe", "sentiment: accuracy fell to 73.5%", "358 labels say so.", 20, line,
                          acknowledged=seen))  # fmt: skip
        failed = Delivery(what="raised", event=0, time=past, channel="slack-2", ok=False, error="no answer")
        made.append(alert("channel", "warning", "slack-2 does not answer", "3 messages wait.", 3, None,
                          deliveries=[failed]))  # fmt: skip
    return made


def tried(line: str = LINE) -> None:
    """Three attempts of the loop."""
    now = datetime.now(UTC)
    said = {
        "rejected": (96, "The quality gate rejects: accuracy 0.812, at least 0.83."),
        "failed": (60, "Its process was killed."),
        "proposed": (1, "Better on rows of the log, not worse on film; it waits for an approver."),
    }
    made = [
        Attempt(
            id=f"{now - timedelta(hours=hours):%Y%m%dT%H%M%S}-ab{n:02}", outcome=outcome, reason=reason,
            started=(now - timedelta(hours=hours)).isoformat(timespec="seconds"), observation="x",
            ended=(now - timedelta(hours=hours - 0.3)).isoformat(timespec="seconds"),
            release=CHALLENGER if outcome == "proposed" else None,
        )
        for n, (outcome, (hours, reason)) in enumerate(said.items())
    ]  # fmt: skip
    write_json(loop.FOLDER / f"{line}.json", loop.Loop(attempts=made).model_dump(mode="json"))


def logged(rows: int = 500, line: str = LINE, minutes: float = 50) -> None:
    """A prediction log with rows of the last minutes."""
    from sqlalchemy import insert

    from serving.log.database import connected
    from serving.log.rows import microseconds
    from serving.log.tables import predictions

    now = datetime.now(UTC)
    rng = np.random.default_rng(0)
    made = [
        {"time": microseconds(now - timedelta(minutes=minutes * n / rows)), "request_id": f"{line}-{n}", "position": 0,
         "line": line, "release": CHAMPION, "variant": "int8", "role": "champion", "source": "app", "text": SCRIPT,
         "label": "positive", "probabilities": b"\0" * 8, "confidence": 0.9, "characters": 40, "words": 8,
         "non_letters": 0.1, "script": "Latin", "script_share": 1.0, "latency_ms": float(rng.gamma(8, 0.6))}
        for n in range(rows)
    ]  # fmt: skip
    with connected(f"sqlite:///{STATE}/predictions.db") as engine, engine.begin() as connection:
        connection.execute(insert(predictions), made)


def story(colour: str, line: str = LINE) -> None:
    """Everything of a line whose health is of that colour; `none` is a line that was never run."""
    if colour == "none":
        return
    registered(line)
    proposed(line)
    watched(colour, line=line)
    alarmed(colour, line)
    tried(line)
    if colour != "grey":
        logged(line=line)
