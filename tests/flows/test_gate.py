from types import SimpleNamespace

import pytest

from flows import gate
from tasks import verdict
from tasks.core.errors import StageError
from tasks.core.line import Line
from tasks.verdict import Check, Verdict

CHANGED = []
UNTOLD = Check(
    name="slice [bold]odd[/bold]: accuracy", value=0.81, min=0.83, low=0.77, high=0.84, rows=320, rows_needed=873,
    outcome="cannot tell",
)  # fmt: skip


class FakeDag:
    """Says of the stages before and with a gate whether they changed."""

    def stages(self, line, until):
        return [SimpleNamespace(name=f"{stage}@{line}") for stage in ("evaluate", until)]

    def changed(self, stage):
        return stage.name.partition("@")[0] in CHANGED


@pytest.fixture(autouse=True)
def project(workdir, monkeypatch):
    monkeypatch.setattr(gate, "Dag", FakeDag)
    monkeypatch.setattr(gate, "load", lambda names: {name: SimpleNamespace(kind="classify") for name in names})
    monkeypatch.setattr(gate, "Console", lambda: SimpleNamespace(print=console(200).print))
    CHANGED.clear()


def console(width):
    from rich.console import Console

    return Console(width=width)


def written(name, *checks):
    verdict.write(Line("toy").file(name, "verdict.json"), Verdict.of(name, list(checks)))


def test_both_verdicts_are_shown(capsys):
    written("quality_gate", verdict.limit("accuracy", 0.9, 0.8, None, 2000), UNTOLD)
    written("release_gate", verdict.limit("fp32.agreement", 1.0, 0.99, None, 2000))
    assert gate.show("toy") == 0
    said = capsys.readouterr().out
    for part in (
        "quality_gate: pass", "release_gate: pass", "0.7700 to 0.8400", "≥ 0.83", "about 880 rows would tell",
        "slice [bold]odd[/bold]: accuracy", "data/toy/quality_gate/gate.html", "data/toy/release_gate/rows.parquet",
    ):  # fmt: skip
        assert part in said


@pytest.mark.parametrize("rejecting", gate.GATES)
def test_a_gate_that_rejects_ends_with_3(rejecting, capsys):
    for name in gate.GATES[: gate.GATES.index(rejecting) + 1]:
        written(name, verdict.limit("accuracy", 0.9 if name != rejecting else 0.1, 0.8, None))
    assert gate.show("toy") == 3
    assert f"{rejecting}: reject" in capsys.readouterr().out


def test_a_missing_verdict_says_how_to_make_it():
    with pytest.raises(StageError, match=r"quality_gate has not run\. `tidegate run toy --until quality_gate`"):
        gate.show("toy")
    written("quality_gate", verdict.limit("accuracy", 0.9, 0.8, None))
    with pytest.raises(StageError, match="release_gate has not run") as error:
        gate.show("toy")
    assert error.value.exit_code == 1


def test_a_verdict_of_an_earlier_run_is_not_shown(capsys):
    written("quality_gate", verdict.limit("accuracy", 0.9, 0.8, None))
    CHANGED.append("evaluate")
    with pytest.raises(StageError, match="belongs to an earlier run: evaluate changed since"):
        gate.show("toy")
    assert capsys.readouterr().out == ""
