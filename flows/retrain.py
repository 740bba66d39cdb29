"""Retraining: the release flow in a worktree of its own, then a proposal or a promotion, as params.yaml says."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows import loop
from flows.loop import Attempt


@flow(name="retrain", flow_run_name="retrain-{line}")
def retrain(line: str, observation: str | None = None, severity: str | None = None) -> State[Any]:
    """Answer a confirmed drift: retrain a line, where its loop may start now."""
    raise NotImplementedError


def retrain_line(line: str, observation: str | None = None, why: str = "") -> Attempt:
    """Retrain a line in a worktree of its own; what came of it.

    `observation` is the drift that asks for it: then the limits of `lines.<line>.loop` hold, and RefusedError says what
    forbids it. Without one a person or a schedule asks, for whom they do not. Raises BusyError where another attempt of
    the line is running. An attempt that fails is recorded and returned, not raised.
    """
    raise NotImplementedError


__all__ = ["Attempt", "loop", "retrain", "retrain_line"]
