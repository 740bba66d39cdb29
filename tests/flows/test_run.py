"""What `tidegate run` says where nothing is to be done."""

from types import SimpleNamespace

from flows import run, store
from tasks.bundle import release_id
from tasks.core.files import write_json
from tasks.core.line import Line

LINE = Line("toy")


def test_the_release_of_the_working_tree_is_named_though_the_loop_made_a_newer_one(workdir, monkeypatch):
    bundle = LINE.file("release", "bundle")
    write_json(bundle / "manifest.json", {"line": "toy"})
    for name, day in ((release_id(bundle), 1), ("newer0000000", 2)):
        write_json(store.STORE / "toy" / name / "provenance.json", {"time": f"2026-01-0{day}T00:00:00+00:00"})
    monkeypatch.setattr(run.world, "has_news", lambda *_: False)
    dag = SimpleNamespace(stages=lambda *_: [])
    assert run.idle(LINE, None, dag, None) == f"release {release_id(bundle)}"
