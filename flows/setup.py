"""`tidegate init`: what a clone needs before its first run."""

import os
from pathlib import Path

from tasks.core.errors import SettingsError, TidegateError


def prepare(remote: str | None, here: Path) -> list[str]:
    """Set DVC up where it is missing and name the default remote; returns what was done, a sentence each.

    The remote is written to `.dvc/config.local`, which git ignores: where it is differs from machine to machine. A
    relative folder is taken from `here`. Raises SettingsError when the remote cannot be used.
    """
    said = []
    if not Path(".git").exists():
        raise TidegateError(f"{Path.cwd()} is no git repository. Run `git init` or clone the project, then again.")
    if not Path(".dvc").exists():
        _dvc("init", "--quiet")
        said.append("DVC is set up in .dvc/.")
    if remote is not None:
        url = _checked(remote, here)
        _dvc("remote", "add", "--local", "--force", "--default", "store", url)
        said.append(f"`dvc push` and `dvc pull` use {url} (.dvc/config.local).")
    return said or ["Nothing to do. `tidegate init --remote URL` names a place for `dvc push`."]


def _checked(remote: str, here: Path) -> str:
    if remote.startswith("s3://"):
        try:
            import dvc_s3  # noqa: F401
        except ImportError:
            raise SettingsError("An S3 remote needs an extra: pip install 'tidegate[s3]'.") from None
        return remote
    if "://" in remote:
        raise SettingsError(f"The remote was given as {remote!r}; a folder or s3://bucket/path can be used.")
    folder = (here / remote).resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"The remote {folder} cannot be made: {error.strerror}. Name another folder.") from None
    if not os.access(folder, os.W_OK):
        raise SettingsError(f"The remote {folder} cannot be written to. Name another folder.")
    return str(folder)


def _dvc(*arguments: str) -> None:
    from dvc.cli import main

    if main(list(arguments)):
        raise TidegateError(f"`dvc {' '.join(arguments)}` failed; its message is above.")
