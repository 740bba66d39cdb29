import pytest

from tasks.drift.judge import judged, verdict
from tasks.drift.result import Check, Figure
from tasks.drift.settings import MonitorSettings

SETTINGS = MonitorSettings()


def check(name, p, value=0.3, limit=0.05):
    return Check(
        name=name, statistic="", value=value, limit=limit, p=p, p_adjusted=None, drifted=False, severity="none",
        reason="Something.", rows_reference=500, rows_current=500, sampled=False, detectable=None,
    )  # fmt: skip


def test_p_is_corrected_over_all_checks():
    found = judged([check("length", 0.02), check("text", 0.03), check("embedding", 0.9)], SETTINGS, None)
    assert [one.p_adjusted for one in found] == pytest.approx([0.06, 0.06, 0.9])
    assert not any(one.drifted for one in found)
    assert found[0].reason == "Something. Chance explains it."


@pytest.mark.parametrize(
    ("names", "severity", "reason"),
    [
        (["length", "tokens"], "notice", "Drift in length and tokens. Only the form of the texts is another."),
        (["length", "text"], "warning", "Drift in text and length. What it costs is not known."),
        (["performance"], "severe", "Drift in performance. What it costs is not known."),
        ([], "none", "No drift in 1 checks."),
    ],
)
def test_without_a_cost_severity_goes_by_what_drifted(names, severity, reason):
    found = judged([check(name, 0.001) for name in names] or [check("length", 0.5)], SETTINGS, None)
    assert verdict(found, None) == (severity, reason)


@pytest.mark.parametrize(
    ("value", "low", "high", "told"),
    [
        (0.041, 0.01, 0.083, "It costs 4.1 points of accuracy (1.0 to 8.3)."),
        (-0.02, -0.05, 0.01, "It costs no accuracy, as far as can be told."),
    ],
)
def test_the_cost_is_told_in_points(value, low, high, told):
    cost = Figure(value=value, low=low, high=high, rows=100)
    severity, reason = verdict(judged([check("text", 0.001)], SETTINGS, cost), cost)
    assert reason == f"Drift in text. {told}"
    assert severity == ("warning" if value > 0 else "notice")
