"""Infra validation: before a release may serve, the real service must give that release's own answers.

Each admissible variant is served for a moment in a process of its own, from a serving folder of its own. What it
answers is held against the release (warm-up requests, text policy, label order, its answers on reference rows), and how
it answers against the limits of params.yaml. The fastest of the variants that pass is the one to serve.
"""

import json
import logging
import shutil
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from flows.process import child
from serving.deployment import Pointer, ServingFolder
from tasks.bundle import Manifest, load_release, release_id
from tasks.core.errors import RejectedError, StageError
from tasks.core.files import read_json, read_parquet
from tasks.core.line import STATE, Line
from tasks.core.settings import Settings
from tasks.kinds import load
from tasks.verdict import Check, Verdict, limit

if TYPE_CHECKING:
    import httpx

log = logging.getLogger("tidegate")

LISTENING = "listening on "
REQUEST_SECONDS = 30.0
OK, NOT_TAKEN = 200, 422


class InfraSettings(Settings):
    """What a release must show in the real service before it may serve."""

    provider: Literal["cpu", "cuda"] = Field("cpu", description="what the service computes on")
    allow_cpu: bool = Field(False, description="with provider cuda: whether a CPU may stand in for an absent GPU")
    p95_ms_max: float = Field(500, gt=0, description="of single requests, one after the other, over HTTP")
    memory_mb_max: float = Field(4000, gt=0, description="resident memory of the service with this release loaded")
    trial_rows: int = Field(200, ge=20, description="reference rows that are sent, one at a time")
    agreement_min: float = Field(
        0.95, ge=0, le=1, description="of their labels with the release's own answers, which were computed in batches"
    )
    start_seconds: float = Field(60, gt=0, description="how long loading and warming up may take")


@dataclass(frozen=True)
class Trial:
    """What one variant showed in the service."""

    variant: str
    verdict: Verdict
    p50_ms: float
    """Of single requests; infinite where none was answered."""
    log: Path


@dataclass(frozen=True)
class Infra:
    """The variant to serve, and what each showed."""

    variant: str
    trials: Sequence[Trial]

    @property
    def verdict(self) -> Verdict:
        """That of the chosen variant."""
        return next(trial.verdict for trial in self.trials if trial.variant == self.variant)

    @property
    def said(self) -> str:
        """What the trial found, in a sentence."""
        times = ", ".join(
            f"{t.variant} {t.p50_ms:.1f} ms" if t.verdict.verdict == "pass" else f"{t.variant} rejected"
            for t in self.trials
        )
        values = {check.name: check.value for check in self.verdict.checks}
        return (
            f"In the service, p50: {times}; {self.variant} p95 {values['p95_ms']:.1f} ms, {values['memory_mb']:.0f} MB."
        )


def validate(line: Line, bundle: Path, settings: InfraSettings) -> Infra:
    """Serve every admissible variant of a release for a moment; the fastest that passes is to serve.

    Writes below .tidegate/infra/<line>-<release>/ and removes it, but for the logs of variants that failed. Raises
    RejectedError with the reasons where no variant passes.
    """
    manifest = load_release(bundle)
    folder = STATE / "infra" / f"{line.name}-{release_id(bundle)}"
    shutil.rmtree(folder, ignore_errors=True)
    trials = [_trial(line, bundle, manifest, variant, folder, settings) for variant in manifest.admissible]
    passed = [trial for trial in trials if trial.verdict.verdict == "pass"]
    for trial in trials:
        shutil.rmtree(folder / trial.variant, ignore_errors=True)
        if trial in passed:
            trial.log.unlink(missing_ok=True)
        log.info("%s in the service: %s, p50 %.1f ms", trial.variant, trial.verdict.verdict, trial.p50_ms)
    if not passed:
        reasons = "; ".join(f"{trial.variant}: {', '.join(trial.verdict.rejections())}" for trial in trials)
        raise RejectedError(
            f"The service does not answer as release {release_id(bundle)} should: {reasons}. {_logs(trials)}"
        )
    if folder.exists() and not any(folder.iterdir()):
        folder.rmdir()
    return Infra(min(passed, key=lambda trial: trial.p50_ms).variant, trials)


def _logs(trials: Sequence[Trial]) -> str:
    return "Logs: " + ", ".join(str(trial.log) for trial in trials) + "."


def _trial(line: Line, bundle: Path, manifest: Manifest, variant: str, folder: Path, settings: InfraSettings) -> Trial:
    """Serve one variant, ask it, end it."""
    import httpx

    deployed = ServingFolder(str((folder / variant).resolve()))
    release = deployed.put(line.name, bundle)
    pointer = Pointer(
        line=line.name, release=release, variant=variant, provider=settings.provider, allow_cpu=settings.allow_cpu
    )
    deployed.point(pointer)
    written = folder / f"{variant}.log"
    command = [sys.executable, "-m", "serving", "--folder", deployed.url, "--port", "0", "--no-log", "--keyless"]
    with written.open("w", encoding="utf-8") as stream, child(command, stdout=stream.fileno(), merged=True) as process:
        try:
            address = _address(process, written, settings.start_seconds)
            with httpx.Client(base_url=address, timeout=REQUEST_SECONDS, trust_env=False) as client:
                service = Service(line.name, client, load(manifest.kind, "serve").KEPT)
                service.await_ready(settings.start_seconds)
                checks, times = _ask(service, bundle, manifest, variant, settings)
                checks.append(_memory(process.pid, settings))
        except StageError as error:
            fault = Check(name="service", value=str(error), outcome="reject")
            return Trial(variant, Verdict.of("infra", [fault]), float("inf"), written)
    return Trial(variant, Verdict.of("infra", checks, variant=variant), statistics.median(times), written)


class Service:
    """One line of a running service, asked over HTTP."""

    def __init__(self, line: str, client: "httpx.Client", top: int | None = None) -> None:
        self.line = line
        self.client = client
        self.top = top
        """Labels of an answer that are looked at, the most probable first; None: all."""

    def await_ready(self, seconds: float) -> None:
        """Wait until the line is served. Raises StageError when the release is refused, or not loaded in time."""
        end = time.monotonic() + seconds
        while self._call("GET", "/v2/health/ready").status_code != OK:
            said = self._call("GET", f"/v1/lines/{self.line}")
            if said.status_code == OK and (refused := said.json().get("refused")):
                raise StageError(f"the service refuses it: {refused['reason']}")
            if time.monotonic() > end:
                raise StageError(f"not ready after {seconds:g} s")
            time.sleep(0.1)

    def describe(self) -> dict[str, Any]:
        """What it says of the line."""
        return self._json(self._call("GET", f"/v1/lines/{self.line}"))

    def predict(self, text: str) -> dict[str, float] | None:
        """Probabilities by label; None where the service takes no such text."""
        body = {"texts": [text]} if self.top is None else {"texts": [text], "top": self.top}
        answer = self._call("POST", f"/v1/lines/{self.line}/predict", body)
        if answer.status_code == NOT_TAKEN:
            return None
        found: dict[str, float] = self._json(answer)["predictions"][0]["probabilities"]
        return found

    def _json(self, answer: "httpx.Response") -> dict[str, Any]:
        if answer.status_code != OK:
            raise StageError(f"{answer.request.url.path} was answered with {answer.status_code}: {answer.text[:200]}")
        content: dict[str, Any] = answer.json()
        return content

    def _call(self, method: str, path: str, body: Any = None) -> "httpx.Response":
        import httpx

        content = None if body is None else json.dumps(body)  # plain ASCII: lone surrogates are escaped
        try:
            return self.client.request(method, path, content=content, headers={"Content-Type": "application/json"})
        except httpx.HTTPError as error:
            raise StageError(f"the service does not answer: {error}") from None


def _address(process: Any, written: Path, seconds: float) -> str:
    """Where it listens, by its own log. Raises StageError with the log's end when it does not in time, or died."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        lines = written.read_text(encoding="utf-8", errors="replace").splitlines()
        for said in lines:
            if said.startswith(LISTENING):
                return said.removeprefix(LISTENING).strip()
        if process.poll() is not None:
            raise StageError(f"the service ended with exit code {process.returncode}: {' '.join(lines[-3:])}")
        time.sleep(0.05)
    raise StageError(f"the service did not listen within {seconds:g} s")


def _ask(
    service: Service, bundle: Path, manifest: Manifest, variant: str, settings: InfraSettings
) -> tuple[list[Check], list[float]]:
    """The checks of what it answers, and the milliseconds of each single request."""
    labels = service.describe()["labels"]
    checks = [
        Check(
            name="label order",
            value=", ".join(labels),
            outcome="pass" if labels == manifest.labels else "reject",
            note="" if labels == manifest.labels else f"the manifest says {', '.join(manifest.labels)}",
        ),
        _warm_up(service, bundle, variant, manifest.labels),
        _policy(service, bundle),
    ]
    agreement, times = _reference(service, bundle, variant, settings)
    p95 = float(np.percentile(times, 95))
    return [*checks, agreement, limit("p95_ms", p95, None, settings.p95_ms_max, len(times))], times


def _warm_up(service: Service, bundle: Path, variant: str, labels: Sequence[str]) -> Check:
    """The largest gap between a warm-up answer's probabilities and those that the release expects."""
    content = read_json(bundle / "warmup.json")
    gaps = []
    for request in content["requests"]:
        answer = service.predict(request["text"])
        gaps.append(1.0 if answer is None else _gap(answer, request["expected"][variant], labels))
    return limit("warm-up gap", max(gaps, default=0.0), None, content["tolerance"], len(gaps))


def _gap(answer: Mapping[str, float], expected: Mapping[str, Any], labels: Sequence[str]) -> float:
    """The largest of an answer; of a list in shares of its first. What is not among the first has no more than they."""
    then = dict(zip(expected.get("listed", labels), expected["probabilities"], strict=True))
    least, scale = min(answer.values()), then[expected["label"]] if "listed" in expected else 1.0
    gaps = [abs(answer[n] - p) if n in answer else max(0.0, p - least) for n, p in then.items()]
    return float(max(gaps) / scale)


def _policy(service: Service, bundle: Path) -> Check:
    """Test vectors of the text policy: a text and what becomes of it must be answered alike."""
    vectors = read_json(bundle / "text_policy.json")["vectors"]
    wrong = sum(service.predict(given) != service.predict(expected) for given, expected in vectors)
    return limit("policy vectors answered otherwise", wrong, None, 0, len(vectors))


def _reference(service: Service, bundle: Path, variant: str, settings: InfraSettings) -> tuple[Check, list[float]]:
    """Label agreement with the release's own answers on its reference rows, and the milliseconds of each request."""
    texts = read_parquet(bundle / "reference/rows.parquet", columns=["text"])["text"]
    predicted = read_parquet(bundle / f"reference/{variant}.parquet", columns=["predicted"])["predicted"]
    places = np.unique(np.linspace(0, len(texts) - 1, settings.trial_rows).astype(int))
    agree, times = 0, []
    for place in places:
        start = time.perf_counter()
        answer = service.predict(texts[place])
        times.append(1000 * (time.perf_counter() - start))
        agree += answer is not None and max(answer, key=answer.__getitem__) == predicted[place]
    return limit("agreement", agree / len(places), settings.agreement_min, None, len(places)), times


def _memory(pid: int, settings: InfraSettings) -> Check:
    import psutil

    return limit("memory_mb", round(psutil.Process(pid).memory_info().rss / 2**20, 1), None, settings.memory_mb_max)
