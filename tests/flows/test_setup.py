import subprocess
import sys
from pathlib import Path

import pytest
from commands import tidegate

from flows import leftovers, world
from flows.setup import prepare
from flows.status import why
from tasks.core.errors import SettingsError, TidegateError


@pytest.fixture
def repository(workdir):
    subprocess.run(["git", "init", "-q"], check=True)
    return workdir


def test_init_sets_dvc_up_and_names_a_remote_in_the_local_config_only(repository):
    said = prepare("store", repository)
    assert (repository / "store").is_dir()
    assert "store" in (repository / ".dvc/config.local").read_text()
    assert "store" not in (repository / ".dvc/config").read_text()
    assert len(said) == 2
    assert prepare(None, repository)[0].startswith("Nothing to do")


def test_init_outside_git_says_what_to_do(workdir):
    with pytest.raises(TidegateError, match="git init"):
        prepare(None, workdir)


@pytest.mark.parametrize("remote", ["ftp://host/x", "/proc/nowhere/x"])
def test_a_remote_that_cannot_be_used_is_refused(repository, remote):
    with pytest.raises(SettingsError):
        prepare(remote, repository)


def test_versions_are_refreshed_and_only_where_they_differ(workdir):
    (workdir / "versions").mkdir()
    (workdir / "versions/a.txt").write_text("pytest==0.0.1\n")
    (workdir / "versions/b.txt").write_text(f"pytest=={world.installed('pytest')}\n")
    assert world.refresh_versions() == [Path("versions/a.txt")]
    assert (workdir / "versions/a.txt").read_text() == (workdir / "versions/b.txt").read_text()


def test_a_missing_package_is_named(workdir):
    with pytest.raises(TidegateError, match="no-such-thing is not installed"):
        world.installed("no-such-thing")


def test_the_tag_of_a_process_tells_whether_it_lives():
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        own = leftovers.tag()
        host = own.rsplit(":", 3)[1]
        assert leftovers.alive(own)
        reused = f"process:{host}:{process.pid}:1"  # the same number, another process
        process.kill()
    assert not leftovers.alive(reused)
    assert leftovers.alive("process:another-host:1:1")


def test_scratch_of_dead_stages_is_cleared_and_that_of_living_ones_kept(workdir):
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        for pid in (process.pid, 2**22 + 1):
            (leftovers.SCRATCH / f"a-train-{pid}").mkdir(parents=True)
        assert [path.name for path in leftovers.clear_scratch()] == [f"a-train-{2**22 + 1}"]
        process.kill()


def test_reasons_in_words():
    reasons = [
        {"changed deps": {"params.yaml": {"lines.a.train": "modified"}, "tasks/x.py": "modified"}},
        "changed command",
    ]
    assert why(reasons) == "params.yaml lines.a.train modified; tasks/x.py modified; changed command"
    assert why([{"changed outs": {"data/a": "deleted"}}]) == "output data/a deleted"
    assert why([]) == ""


def test_help_everywhere(workdir):
    for command in (
        [],
        *[[name] for name in ("init", "check", "sync", "run", "status", "doctor", "predict", "compare")],
    ):
        done = tidegate(*command, "--help")
        assert done.returncode == 0
        assert "Usage" in done.stdout


def test_outside_a_project_the_message_says_so(workdir):
    for command in (["check"], ["run"], ["status"]):
        done = tidegate(*command)
        assert done.returncode == 2
        assert "params.yaml is missing" in done.stdout
        assert "Traceback" not in done.stdout
