"""The commit that records a release: found in the history, or made of exactly what records it."""

import json
from pathlib import Path
from typing import Any

import yaml

from flows.champion import released_at
from flows.dag import Dag, stage_name
from flows.git import asked, git
from flows.status import why
from tasks.bundle import MANIFEST, Manifest, read_manifest, release_id
from tasks.core.errors import TidegateError
from tasks.core.line import Line
from tasks.core.settings import PARAMS, read_params

LOCK = "dvc.lock"


def commit_of(line: Line, bundle: Path) -> str | None:
    """The newest commit that records a release, in any branch; None where there is none.

    It does where its dvc.lock names the release and its params.yaml the settings that the release was made with.
    """
    manifest, wanted = read_manifest(bundle), release_id(bundle)
    size = _size(bundle, manifest)
    known: dict[str, str | None] = {}
    for commit in git("log", "--format=%H", "HEAD", "--branches", "--tags", "--remotes", "--", LOCK).split():
        out = _recorded(line, _yaml_at(commit, LOCK))
        if (out["size"], out["nfiles"]) != size:
            continue
        if out["md5"] not in known:
            known[out["md5"]] = released_at(line, commit)
        if known[out["md5"]] == wanted and not other_settings(manifest, _yaml_at(commit, str(PARAMS))):
            return commit
    return None


def require_recordable(line: Line, bundle: Path) -> None:
    """Raise TidegateError unless a commit of the working tree's dvc.lock, params.yaml and inbox.dvc would record it.

    It would not where other files or settings of the line were edited since: the commit would lack the edits that the
    release was made with, or hold such that it was not made with.
    """
    wanted, here = release_id(bundle), line.file("release", "bundle")
    if not (here / MANIFEST).exists() or release_id(here) != wanted:
        raise TidegateError(
            f"No commit records release {wanted} of {line.name}, and the working tree holds another. Commit dvc.lock "
            f"where it was made, or run `tidegate run {line.name}` with its settings."
        )
    edits = _edits(line, read_manifest(bundle))
    if edits:
        raise TidegateError(
            f"Release {wanted} of {line.name} is recorded in no commit yet, and not all here is as it was made "
            "with:\n"
            + "\n".join(f"- {edit}" for edit in edits)
            + f"\nCommit or undo them, then run `tidegate run {line.name}` and promote again."
        )


def record(line: Line, bundle: Path) -> str:
    """Commit exactly dvc.lock, params.yaml and inbox.dvc, whatever else was edited or staged; returns the commit.

    Raises TidegateError where that would not record the release.
    """
    require_recordable(line, bundle)
    pin = line.inbox.with_name("inbox.dvc")
    paths = [name for name in (LOCK, str(PARAMS), str(pin)) if Path(name).exists()]
    # First into the index: wherever this is cut short, index and commit go together. No hooks: they are there for
    # code, and those that set other people's edits aside meanwhile would lose them when killed.
    git("add", "--", *paths)
    message = f"Release {release_id(bundle)} of {line.name}"
    git("commit", "--quiet", "--no-verify", "--only", "-m", message, "--", *paths)
    made = commit_of(line, bundle)
    if made is None:
        raise TidegateError(f"{LOCK} of {line.name} changed meanwhile. Wait for other runs to end, then promote again.")
    return made


def other_settings(manifest: Manifest, params: Any) -> list[str]:
    """The blocks of params.yaml in which a release was made with other settings than `params` has."""
    return [key for key, value in manifest.params.items() if _at(params, key) != value]


def _edits(line: Line, manifest: Manifest) -> list[str]:
    """What would make the commit other than what the release was made with, a line each."""
    dag = Dag()
    stages = dag.stages(line.name)
    names = {name for stage in stages for dep in stage.deps if (name := dep.def_path) != str(PARAMS)}
    entries = git("status", "--porcelain", "-z", "--no-renames", "--", "dvc.yaml", *sorted(names)).split("\0")
    said = [f"{entry[3:]} {'is not in git' if entry[:2] == '??' else 'was edited'}" for entry in entries if entry]
    said += [f"{PARAMS}: {key} is not as it was" for key in other_settings(manifest, read_params())]
    reasons = {stage_name(stage): why(dag.status(stage)) for stage in stages} if not said else {}
    return said + [f"{stage} would run again: {reason}" for stage, reason in reasons.items() if reason]


def _at(content: Any, key: str) -> Any:
    """The value at a dotted key, as the manifest has it; None where there is none."""
    for part in key.split("."):
        content = content.get(part) if isinstance(content, dict) else None
    return json.loads(json.dumps(content, default=str))


def _recorded(line: Line, lock: Any) -> dict[str, Any]:
    """What dvc.lock says of the release: md5, size and number of files; None for what it does not say."""
    stage = lock.get("stages", {}).get(f"release@{line.name}", {}) if isinstance(lock, dict) else {}
    path = line.file("release", "bundle").as_posix()
    found: dict[str, Any] = next((out for out in stage.get("outs", []) if out["path"] == path), {})
    return {key: found.get(key) for key in ("md5", "size", "nfiles")}


def _size(bundle: Path, manifest: Manifest) -> tuple[int, int]:
    """Bytes and number of files: tells most releases apart before DVC is asked for their content."""
    files = [*manifest.files, MANIFEST]
    return sum((bundle / name).stat().st_size for name in files), len(files)


def _yaml_at(commit: str, path: str) -> Any:
    """A YAML file as it was at a commit; None where it was not there or is none."""
    text = asked("show", f"{commit}:./{path}")
    try:
        return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)) if text else None  # noqa: S506 - safe ones
    except yaml.YAMLError:
        return None
