"""The audit fails on findings, lets pass what is accepted until its day, and says when it could ask no one."""

import importlib.util
import json
from datetime import date
from pathlib import Path

import pytest

TODAY = date(2026, 11, 24)
KNOWN = {"id": "GHSA-1", "aliases": ["CVE-2026-1"], "fix_versions": ["2.1"]}
REPORT = {
    "dependencies": [
        {"name": "sound", "version": "1", "vulns": []},
        {"name": "leaky", "version": "2.0", "vulns": [KNOWN]},
        {"name": "unknown", "skip_reason": "Dependency not found on PyPI"},
    ]
}
SKIPPED = {"dependencies": [{"name": "sound", "skip_reason": "Dependency not found on PyPI"}]}


@pytest.fixture(scope="module")
def audit():
    spec = importlib.util.spec_from_file_location("audit", Path(__file__).parents[2] / ".ci/audit.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def entry(until, name="CVE-2026-1"):
    return {"id": name, "reason": "not called", "until": until}


def test_a_finding_fails(audit):
    failing, notes = audit.judge(REPORT, [], TODAY)
    assert failing == ["leaky 2.0: GHSA-1; mended in 2.1"]
    assert notes == ["not known to the service: unknown"]


def test_what_is_accepted_passes_until_its_day(audit):
    assert audit.judge(REPORT, [entry(TODAY)], TODAY)[0] == []
    failing, _ = audit.judge(REPORT, [entry(date(2026, 11, 23))], TODAY)
    assert failing == ["leaky 2.0: GHSA-1; mended in 2.1", "CVE-2026-1: accepted until 2026-11-23; look again"]


def test_an_acceptance_without_a_finding_is_said(audit):
    failing, notes = audit.judge(REPORT, [entry(TODAY), entry(TODAY, "CVE-2025-9")], TODAY)
    assert not failing
    assert "CVE-2025-9 is found no more; take it out of accepted.yaml" in notes


@pytest.mark.parametrize(
    ("outputs", "code", "said"),
    [
        ({"pypi": REPORT, "osv": None}, 1, "audit by pypi: 3 packages, 1 findings"),
        ({"pypi": SKIPPED, "osv": REPORT}, 1, "audit by osv"),  # pip-audit itself says "no vulnerabilities" and exits 0
        ({"pypi": SKIPPED, "osv": None}, 0, "audit SKIPPED"),
    ],
)
def test_the_first_service_that_answers_decides(audit, monkeypatch, capsys, outputs, code, said):
    def run(command, **_):
        output = outputs[command[command.index("--vulnerability-service") + 1]]
        return type("Done", (), {"stdout": "" if output is None else json.dumps(output)})

    monkeypatch.setattr(audit.subprocess, "run", run)
    assert audit.main() == code
    assert said in capsys.readouterr().out
