"""The clean-up as a flow: what its run says."""

import pytest
import yaml
from toy import toy_params

from flows import leftovers, tidy
from tasks.core.errors import StageError


@pytest.fixture
def cleanup(workdir, prefect_url, monkeypatch):
    """The flow, in a project without git, DVC or history, with the scratch folder of a dead stage."""
    monkeypatch.setenv("PREFECT_API_URL", prefect_url)
    params = toy_params("reviews.csv", {"kind": "folder", "path": "x", "sha256": "0" * 64})
    (workdir / "params.yaml").write_text(yaml.safe_dump({**params, "housekeeping": {"dvc_cache": False}}))
    (leftovers.SCRATCH / f"toy-train-{2**22 + 1}").mkdir(parents=True)
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from flows.cleanup import cleanup

    with temporary_settings({PREFECT_API_URL: prefect_url}):  # another test may have imported Prefect before
        yield cleanup


def test_a_run_deletes_and_says_so(cleanup):
    assert cleanup(dry_run=True, return_state=True).is_completed()
    assert leftovers.scratch_folders()
    state = cleanup(return_state=True)
    assert state.is_completed() and state.message == "1 kind(s) of leftovers deleted."
    assert not leftovers.scratch_folders()
    assert cleanup(return_state=True).message == "Nothing to delete."


def test_a_part_that_fails_fails_the_run_and_the_rest_is_done(cleanup, monkeypatch):
    def broken(*_):
        raise StageError("the disk is on fire")

    monkeypatch.setitem(tidy.PARTS, "alerts", broken)
    state = cleanup(return_state=True)
    assert state.is_failed() and "the disk is on fire" in state.message
    assert not leftovers.scratch_folders()


def test_wrong_settings_are_told_without_a_traceback(cleanup, workdir):
    (workdir / "params.yaml").write_text("lines: {}\n")
    state = cleanup(return_state=True)
    assert state.is_failed() and state.name == "WrongSettings" and "names no line" in state.message
