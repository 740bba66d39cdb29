"""`tidegate run` and `dvc repro` are one line: the same decision, the same record, the same refusals."""

import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml
from commands import dvc, started, tidegate

REPRO = [sys.executable, "-m", "dvc", "repro"]
RUN = [sys.executable, "-m", "flows.cli", "run", "toy", "--until", "second"]


def run(*more):
    return tidegate("run", "toy", "--until", "second", *more)


def wait_for(path, process, log):
    deadline = time.monotonic() + 90
    while not (path.exists() and path.read_text()):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def set_param(folder, **values):
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["lines"]["toy"]["label"].update(values)
    (folder / "params.yaml").write_text(yaml.safe_dump(params))


def test_after_a_run_a_repro_has_nothing_to_do_and_the_other_way_round(fake):
    done = run()
    assert done.returncode == 0, done.stdout
    lock = Path("dvc.lock").read_text()
    again = dvc("repro")
    assert again.returncode == 0, again.stdout
    assert again.stdout.count("Stage ") == again.stdout.count("@toy' didn't change, skipping") == 2
    assert dvc("status").stdout.strip() == "Data and pipelines are up to date."
    assert Path("dvc.lock").read_text() == lock

    Path("dvc.lock").unlink()
    for name in ("first", "second"):
        (fake / "data/toy" / name / "out.txt").unlink()
    assert dvc("repro", "--no-run-cache").returncode == 0
    assert Path("dvc.lock").read_text() == lock
    idle = run()
    assert idle.returncode == 0
    assert "Nothing to do" in idle.stdout
    assert "Flow run" not in idle.stdout  # Prefect was not even started


@pytest.mark.long
def test_each_restores_what_the_other_computed(fake):
    set_param(fake, neutral=0.0)
    assert run().returncode == 0
    set_param(fake, neutral=0.25)
    by_dvc = dvc("repro")
    assert by_dvc.stdout.count("Running stage") == 2, by_dvc.stdout
    set_param(fake, neutral=0.0)
    restored = dvc("repro")
    assert restored.stdout.count("is cached - skipping run") == 2, restored.stdout
    set_param(fake, neutral=0.25)
    back = run()
    assert "first: restored" in back.stdout, back.stdout
    assert "first is at work" not in back.stdout


def test_a_changed_module_reruns_only_what_depends_on_it(fake):
    assert run().returncode == 0
    with (fake / "tasks" / "second.py").open("a") as module:
        module.write("# changed\n")
    done = run()
    assert "first: unchanged" in done.stdout
    assert "second: ran" in done.stdout


def test_force_runs_a_stage_though_nothing_changed(fake):
    assert run().returncode == 0
    done = run("--force", "first")
    assert "first: ran" in done.stdout
    assert "second: unchanged" in done.stdout  # the same output again


@pytest.mark.long
def test_a_repro_during_a_run_is_refused_and_a_run_during_a_repro(fake, tmp_path):
    tidegate("sync", "toy")
    (fake / "wait").write_text("15")
    log = tmp_path / "log"
    with started(*RUN, log=log) as process:
        wait_for(fake / "started", process, log)
        refused = dvc("repro")
        assert refused.returncode != 0
        assert "is busy" in refused.stdout
        second = run()
        assert second.returncode == 1
        assert "Another run of toy" in second.stdout
        assert process.wait(60) == 0, log.read_text()
    assert (fake / "data/toy/first/out.txt").exists()

    (fake / "started").unlink()
    set_param(fake, neutral=0.25)
    with started(*REPRO, log=log) as process:
        wait_for(fake / "started", process, log)
        refused = run()
        assert refused.returncode == 1, refused.stdout
        assert "Another run works on the same files" in refused.stdout
        assert "Traceback" not in refused.stdout
        assert process.wait(60) == 0, log.read_text()


@pytest.mark.long
@pytest.mark.parametrize("command", [RUN, REPRO], ids=["run", "repro"])
@pytest.mark.parametrize("edit", ["params", "code"])
def test_an_edit_during_a_stage_fails_it_and_records_nothing(fake, tmp_path, command, edit):
    tidegate("sync", "toy")
    (fake / "wait").write_text("3")
    log = tmp_path / "log"
    with started(*command, log=log) as process:
        wait_for(fake / "started", process, log)
        if edit == "params":
            set_param(fake, neutral=0.25)
        else:
            (fake / "tasks" / "first.py").write_text((fake / "tasks" / "first.py").read_text() + "# edited\n")
        assert process.wait(60) != 0
    assert "changed while first was running" in log.read_text()
    assert not Path("dvc.lock").exists() or "first@toy" not in Path("dvc.lock").read_text()
    (fake / "wait").write_text("0")
    done = run()
    assert "first: ran" in done.stdout, done.stdout  # and was not restored from a wrong record


def test_a_gate_that_rejects_ends_with_3_and_a_rerun_repeats_it_without_computing(fake):
    (fake / "limit").write_text("0.9")
    done = run()
    assert done.returncode == 3, done.stdout
    assert "accuracy is 0.5, at least 0.9 is needed" in done.stdout
    assert "Traceback" not in done.stdout
    again = run()
    assert again.returncode == 3
    assert "accuracy is 0.5, at least 0.9 is needed" in again.stdout
    assert "Flow run" not in again.stdout
    assert dvc("status").stdout.strip() == "Data and pipelines are up to date."  # the verdict is on record


def test_wrong_params_end_with_2(fake):
    set_param(fake, neutrl=1)
    done = run()
    assert done.returncode == 2
    assert "did you mean 'neutral'" in done.stdout
    assert "Traceback" not in done.stdout
    assert run("--force", "nonsense").returncode == 2


def test_ctrl_c_ends_the_group_and_no_run_is_left_running(fake, tmp_path):
    (fake / "wait").write_text("60")
    log = tmp_path / "log"
    with started(*RUN, log=log) as process:
        wait_for(fake / "started", process, log)
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(30) == 130, log.read_text()
    assert "Interrupted" in log.read_text()
    assert not psutil.pid_exists(int((fake / "started").read_text()))
    assert unfinished() == []
    (fake / "wait").write_text("0")
    assert run().returncode == 0


def test_a_cancellation_in_prefect_ends_the_stage(fake, tmp_path):
    from prefect.states import Cancelling

    (fake / "wait").write_text("60")
    log = tmp_path / "log"
    with started(*RUN, log=log) as process:
        wait_for(fake / "started", process, log)
        with client() as api:
            (live,) = unfinished()
            api.set_flow_run_state(live.id, Cancelling(), force=True)
        assert process.wait(30) == 1, log.read_text()
        with client() as api:
            assert api.read_flow_run(live.id).state.is_cancelled()
    assert not psutil.pid_exists(int((fake / "started").read_text()))


def test_after_kill_9_no_process_is_left_and_the_next_run_clears_up(fake, tmp_path):
    (fake / "wait").write_text("60")
    log = tmp_path / "log"
    with started(*RUN, log=log) as process:
        wait_for(fake / "started", process, log)
        process.kill()
        process.wait()
    stage = int((fake / "started").read_text())
    deadline = time.monotonic() + 10
    while psutil.pid_exists(stage):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (dead,) = unfinished()
    assert not (fake / "data/toy/first").exists()
    (fake / "wait").write_text("0")
    assert run().returncode == 0
    with client() as api:
        assert api.read_flow_run(dead.id).state.is_crashed()
    assert unfinished() == []


def client():
    from prefect.client.orchestration import get_client

    return get_client(sync_client=True)


def unfinished():
    """Flow runs that Prefect takes to be alive."""
    with client() as api:
        return [run for run in api.read_flow_runs() if run.state is None or not run.state.is_final()]
