"""Known vulnerabilities in the pinned versions: `make audit`.

Exit 0: none that accepted.yaml does not accept, or no advisory service could be reached, which is then said. Exit 1:
findings, or an acceptance whose date has passed.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
ACCEPTED = Path(__file__).with_name("accepted.yaml")
SERVICES = ("pypi", "osv")
SECONDS = 300


@dataclass(frozen=True)
class Finding:
    """One advisory about one pinned version."""

    id: str
    package: str
    version: str
    fixed: str
    names: frozenset[str]
    """The id and its aliases, such as the CVE's."""

    def __str__(self) -> str:
        return f"{self.package} {self.version}: {self.id}; mended in {self.fixed or 'no version yet'}"


def ask(service: str) -> dict[str, Any] | None:
    """pip-audit's report on constraints.txt; None where the service does not answer."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", "constraints.txt", "--no-deps", "--disable-pip"]
    command += ["--vulnerability-service", service, "--format", "json", "--progress-spinner", "off"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS)
        report: dict[str, Any] = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, json.JSONDecodeError):
        return None
    return report if any("vulns" in package for package in report["dependencies"]) else None


def findings(report: dict[str, Any]) -> Iterator[Finding]:
    """What the service knows of."""
    for package in report["dependencies"]:
        for known in package.get("vulns", []):
            fixed = ", ".join(known.get("fix_versions", []))
            names = frozenset({known["id"], *known.get("aliases", [])})
            yield Finding(known["id"], package["name"], package["version"], fixed, names)


def judge(report: dict[str, Any], accepted: list[dict[str, Any]], today: date) -> tuple[list[str], list[str]]:
    """What fails the audit, and what is worth saying besides."""
    found = list(findings(report))
    names = {name for finding in found for name in finding.names}
    valid = {entry["id"] for entry in accepted if entry["until"] >= today}
    failing = [str(finding) for finding in found if not finding.names & valid]
    failing += [f"{e['id']}: accepted until {e['until']}; look again" for e in accepted if e["id"] in names - valid]
    notes = [f"{finding}: accepted" for finding in found if finding.names & valid]
    notes += [f"{e['id']} is found no more; take it out of accepted.yaml" for e in accepted if e["id"] not in names]
    unknown = [package["name"] for package in report["dependencies"] if "vulns" not in package]
    return failing, notes + ([f"not known to the service: {', '.join(unknown)}"] if unknown else [])


def main() -> int:
    """Ask the services in turn; the first that answers decides."""
    for service in SERVICES:
        report = ask(service)
        if report is None:
            continue
        failing, notes = judge(report, yaml.safe_load(ACCEPTED.read_text()) or [], datetime.now(UTC).date())
        print("\n".join([*notes, *failing]))
        print(f"audit by {service}: {len(report['dependencies'])} packages, {len(failing)} findings")
        return 1 if failing else 0
    print(f"audit SKIPPED: no advisory service answers here ({', '.join(SERVICES)}). Nothing was checked.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
