"""A project of its own for the demonstration: a clone of this one that has its release, and what runs in it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import yaml
from tenacity import Retrying, retry_if_exception_message, stop_after_delay, wait_fixed

from flows import loop, observations, running, store
from flows.git import git
from flows.loop import Attempt, Loop
from flows.running import Up
from serving.log.settings import KEY, URL
from tasks.bundle import release_id
from tasks.core.errors import TidegateError
from tasks.core.files import read_json, write_text
from tasks.core.line import STATE, Line
from tasks.core.settings import PARAMS, read_params
from tasks.dialogue.store import URL as CHAT
from tasks.drift.result import Observation
from tasks.team import TEAM

FOLDER = STATE / "demo" / "project"
WHO = "Tidegate demo"
SECRET = (URL, KEY, CHAT, "TIDEGATE_ALERT_URLS", "PREFECT_API_URL", "PREFECT_HOME", "PYTHONPATH")
"""What the environment says of the real project: the demonstration must not touch it."""
SHARED = ("models", "downloads")
"""What any project may read: pinned by sha256."""


PORTS = {"port": 0}
"""Any that is free: the real project may run beside."""
MIN_NEW = {"min_new": 1_000}
"""Labels from which the loop learns: not from those of the days on which nothing had changed."""


class World:
    """The demonstration's project and its commands."""

    def __init__(self, line: Line) -> None:
        self.line, self.folder = line, FOLDER.absolute()
        self.environment = {key: value for key, value in os.environ.items() if key not in SECRET}
        self.addresses: dict[str, str] = {}

    def make(self, settings: dict[str, dict[str, Any]]) -> str:
        """Make the project anew, with other settings for the line; returns the id of the release it begins with.

        Raises TidegateError where this project has no finished release, or its record was not made here.
        """
        bundle = store.find(self.line.name)
        if not store.holds(self.line) or release_id(self.line.file("release", "bundle")) != bundle.name:
            raise TidegateError(
                f"The newest release of {self.line.name} is not what this working tree holds. "
                f"`tidegate run {self.line.name}` first."
            )
        self.down()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        git("clone", "--quiet", "--no-tags", ".", str(self.folder))
        for name in ("dvc.lock", str(PARAMS), self.line.inbox.with_name("inbox.dvc")):
            shutil.copy(name, self.folder / name)
        (self.folder / TEAM).unlink(missing_ok=True)
        self._bring_data(bundle)
        self._set(settings)
        return bundle.name

    def _bring_data(self, bundle: Path) -> None:
        cache = subprocess.run(
            [sys.executable, "-m", "dvc", "cache", "dir"], capture_output=True, text=True, check=True
        ).stdout.strip()
        here = ("config", "--local", "cache.dir", str(Path(cache).absolute()))
        its = ("checkout", "--force", "--with-deps", f"release@{self.line.name}")  # other lines may never have run here
        for arguments in (here, its):
            self._do([sys.executable, "-m", "dvc", *arguments, "--quiet"])
        shutil.copytree(bundle, self.folder / store.STORE / self.line.name / bundle.name)
        for name in SHARED:
            if (STATE / name).exists():
                (self.folder / STATE / name).symlink_to((STATE / name).absolute())

    def _set(self, settings: dict[str, dict[str, Any]]) -> None:
        """Record the release as it was made, then the demonstration's own settings."""
        self._do(["git", "config", "user.name", WHO])
        self._do(["git", "config", "user.email", "demo@localhost"])
        self._commit("As this project stands")
        params = read_params()
        block = params["lines"][self.line.name]
        own = {name: {**block.get(name, {}), **given} for name, given in settings.items()}
        params["lines"][self.line.name] = {**block, **own}
        params["default_lines"] = [self.line.name]
        for source in block["sources"]:
            source.update(MIN_NEW if source["kind"] == "log" else {})
        params["serving"] = {**(params.get("serving") or {}), **PORTS}
        params["ops"] = {**(params.get("ops") or {}), **PORTS}
        params["up"] = {**(params.get("up") or {}), "prefect_port": 0, "chat": False}
        write_text(self.folder / PARAMS, yaml.safe_dump(params, sort_keys=False, allow_unicode=True))
        self._commit("Settings of the demonstration")
        self._do(["git", "remote", "remove", "origin"])  # nothing of it is pushed

    def _commit(self, message: str) -> None:
        self._do(["git", "commit", "--quiet", "--no-verify", "--allow-empty", "--all", "-m", message])

    def tidegate(self, *arguments: str, allowed: tuple[int, ...] = (0,)) -> str:
        """What a command of the project prints. Raises TidegateError with it where its exit code is not allowed."""
        return self._do([sys.executable, "-m", "flows.cli", *arguments], allowed)

    def up(self) -> None:
        """Start everything, and leave it running when this process ends."""
        self.tidegate("up", "--detach")
        found = Up.model_validate(read_json(self.folder / running.FILE))
        self.addresses = {one.name: one.address for one in found.programs if one.address}

    def down(self) -> None:
        """Stop everything that runs in the project."""
        if self.folder.exists():
            self.tidegate("down")

    def observe(self, rows: int) -> Observation:
        """Have the monitor look at the last rows."""
        for attempt in Retrying(retry=retry_if_exception_message(match="(?s).*Another look"), reraise=True,
                                stop=stop_after_delay(120), wait=wait_fixed(2)):  # fmt: skip
            with attempt:  # the hourly one may be at it
                self.tidegate("monitor", self.line.name, "--rows", str(rows), allowed=(0, 3))
        newest = max((self.folder / observations.FOLDER / self.line.name).glob("*.json"))
        return Observation.model_validate(read_json(newest))

    def attempts(self) -> list[Attempt]:
        """What the loop has tried so far, oldest first."""
        path = self.folder / loop.FOLDER / f"{self.line.name}.json"
        return Loop.model_validate(read_json(path)).attempts if path.exists() else []

    def client(self) -> httpx.Client:
        """A caller of the service."""
        return httpx.Client(
            base_url=f"{self.addresses['service']}/v1/lines/{self.line.name}", timeout=60, trust_env=False
        )

    def _do(self, command: list[str], allowed: tuple[int, ...] = (0,)) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            errors="replace", check=False,
        )  # fmt: skip
        if done.returncode not in allowed:
            said = (done.stderr or done.stdout).strip()
            raise TidegateError(f"`{' '.join(command[2:])}` in {self.folder} ended with {done.returncode}: {said}")
        return done.stdout
