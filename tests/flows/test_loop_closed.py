"""The loop on a whole line: traffic of another kind, its labels, a better model that serves."""

import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from answers import answered, labelled
from commands import tidegate
from conftest import NOUNS

from flows import loop, promote, registry
from flows.server import settle
from serving.log import store
from serving.log.database import migrate, open_database, writing
from serving.log.rows import Encoder
from serving.log.settings import LogSettings

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
GOOD, BAD = ["zippy", "sharp", "quiet"], ["laggy", "noisy", "brittle"]


@pytest.fixture
def project(lines, tmp_path, monkeypatch):
    """The line `toy`, whose first release is champion; it learns from its log and promotes by itself."""
    folder = shutil.copytree(lines["run"], tmp_path / "toy", symlinks=True)
    monkeypatch.chdir(folder)
    for name, value in {**lines["environment"], "PYTHONPATH": str(folder)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(promote, "tried", lambda line, bundle: promote.Chosen("fp32"))
    promote.promote("toy", None, "Ada", "first")
    params = yaml.safe_load(Path("params.yaml").read_text())
    line = params["lines"]["toy"]
    line["sources"].append({"name": "live", "kind": "log", "line": "toy"})
    line["promote"], line["compare"], line["loop"] = {"automatic": True}, {"margin": 0.08}, {"retrain": True}
    line["quality_gate"] |= {"checks": [{"metric": "slices.source.made.accuracy", "min": 0.6}], "sources": ["made"]}
    Path("params.yaml").write_text(yaml.safe_dump(params))
    subprocess.run(["git", "commit", "-qam", "settings"], check=True)
    return folder


def traffic(rows):
    """Texts with words that the line does not know, and what people said of the answers."""
    rng, encoder, told = np.random.default_rng(0), Encoder(LogSettings()), []
    for n in range(rows):
        good = rng.random() < 0.5
        word = rng.choice(GOOD if good else BAD)
        text = f"{rng.choice(NOUNS)} {word} {rng.choice(NOUNS)} {word} {n}"
        told.append(encoder.answers(answered(f"q{n}", [text], "toy")))
        told.append(encoder.feedback(labelled(f"q{n}", 0, "positive" if good else "negative", "toy")))
    engine = open_database(LogSettings().database())
    migrate(engine)
    records = [store.Record(n, payload) for n, payload in enumerate(told, start=1)]
    with writing(engine).begin() as connection:
        store.insert(connection, SimpleNamespace(name="made", settled=0, torn=False), store.Batch.of(records))
    engine.dispose()


def test_drift_leads_to_a_better_champion_and_then_to_nothing_new(project):
    settle()
    from flows.retrain import retrain

    traffic(600)
    (project / "params.yaml").write_text((project / "params.yaml").read_text() + "# somebody edits\n")
    state = retrain("toy", "20260501T000000-abcdef", "warning", return_state=True)
    assert (state.name, state.is_completed()) == ("Promoted", True), state.message
    first = loop.attempts("toy")[-1]
    assert "better" in registry.history("toy")[-1].record.comparison.outcome
    assert first.rows_until is not None
    assert "# somebody edits" in (project / "params.yaml").read_text()
    again = retrain("toy", "20260502T000000-abcdef", "warning", return_state=True)
    assert again.name == "Refused"
    assert "the next may start" in again.message
    told = tidegate("retrain", "toy")
    assert told.returncode == 0
    assert f"release {first.release} is champion already" in told.stdout
    assert "It takes 50 new labels" in told.stdout
