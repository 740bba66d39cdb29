"""The loop on whole lines: traffic of another kind, its labels, a better model that serves; new events."""

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
from tasting import events, taste_params
from toy import make_repository

from flows import alerts, loop, promote, registry
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


@pytest.fixture
def shop(checkout, tiny_encoder, prefect_url, monkeypatch):
    """A line of events, whose first release is champion; what comes after it is promoted by itself."""
    monkeypatch.setenv("PREFECT_API_URL", prefect_url)
    params = taste_params(tiny_encoder)
    params["lines"]["toy"] |= {"promote": {"automatic": True}, "loop": {"retrain": True}}
    params["lines"]["toy"]["compare"]["margin"] = 0.2  # of so few users
    params["serving"] = {"port": 0}
    files = {"params.yaml": yaml.safe_dump(params), "questions.csv": events().to_csv(index=False)}
    files |= {f"data/toy/{name}.yaml": "[]\n" for name in ("expectations", "behaviour")}
    for name, content in (files | {"data/toy/labelling/README.md": "None.\n"}).items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(content)
    make_repository(checkout)
    ran = tidegate("run", "toy")
    assert ran.returncode == 0, ran.stdout
    monkeypatch.setattr(promote, "tried", lambda line, bundle: promote.Chosen("fp32"))
    promote.promote("toy", None, "Ada", "first")
    return checkout


def test_new_events_make_a_new_champion_once_they_are_committed(shop):
    settle()
    from flows.retrain import NOTHING_NEW, retrain

    Path("questions.csv").write_text(events(people=75).to_csv(index=False))
    state = retrain("toy", "20260501T000000-abcdef", "warning", return_state=True)
    assert state.name == "NothingNew"
    assert "new events and items: bring them by its sources. Of questions.csv the last commit counts." in state.message
    [alert] = alerts.open_alerts("toy")
    assert alert.title == NOTHING_NEW and "label" not in alert.reason
    subprocess.run(["git", "commit", "-qam", "events"], check=True)
    state = retrain("toy", "20260502T000000-abcdef", "warning", return_state=True)
    assert state.name == "Promoted", state.message
    assert registry.history("toy")[-1].record.comparison.metric == "ndcg_at_10"
    assert alerts.open_alerts("toy") == []
