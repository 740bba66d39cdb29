"""Packages as carriers of data and models: one file of a package index, pinned by version and sha256, kept on disk."""

import logging
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.core.errors import SettingsError, SourceError
from tasks.core.files import sha256 as digest_of
from tasks.core.line import STATE

if TYPE_CHECKING:
    from tenacity import Retrying

log = logging.getLogger("tidegate")

DOWNLOADS = STATE / "downloads"
TRIES = 4
FIRST_WAIT = 1.0  # seconds; doubles with each further try
UNKNOWN = "0" * 64


class _OutOfReachError(SourceError):
    """The index did not answer; a later try may."""


def fetch(requirement: str, sha256: str | None) -> Path:
    """The sdist or wheel of `name==version` whose sha256 this is, from the index that pip is set up with.

    Kept under .tidegate/downloads/<sha256>/ and checked again on each use, so that a second call needs no network.
    The digest is checked before anything of the file is unpacked. pip then asks a source archive for its metadata,
    with the setuptools that is installed; nothing else is downloaded for that.

    Raises SettingsError when the pin is missing (the message has it), SourceError when the file cannot be had.
    """
    name, version = _parts(requirement)
    if sha256 is None:
        raise SettingsError(_pin_needed(name, version))
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise SettingsError(f"{requirement}: the sha256 must be 64 hexadecimal digits, given was {sha256!r}.")
    kept = cached(sha256)
    if kept is not None:
        return kept
    return patiently(_OutOfReachError)(_download, f"{name}=={version}", sha256)


def patiently(*temporary: type[Exception]) -> "Retrying":
    """Calls a function again, with back-off, while it fails with one of these errors; the last one is raised."""
    from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

    return Retrying(
        stop=stop_after_attempt(TRIES),
        wait=wait_exponential(multiplier=FIRST_WAIT, max=60 * FIRST_WAIT),
        retry=retry_if_exception_type(temporary),
        reraise=True,
    )


def cached(sha256: str) -> Path | None:
    """The file with this digest if it lies whole in .tidegate/downloads/; a damaged one is removed."""
    for path in sorted((DOWNLOADS / sha256).glob("*")):
        if digest_of(path) == sha256:
            return path
        log.warning("%s is damaged and will be fetched anew.", path)
        path.unlink()
    return None


def _parts(requirement: str) -> tuple[str, str]:
    match = re.fullmatch(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:==\s*([A-Za-z0-9][A-Za-z0-9.+!_-]*))?\s*", requirement)
    if match is None:
        raise SettingsError(f"A package was given as {requirement!r}; allowed is NAME==VERSION.")
    name, version = match.groups()
    if version is None:
        raise SettingsError(_pin_needed(name, None))
    return name, version


def _pin_needed(name: str, version: str | None) -> str:
    """What to write into params.yaml for a package without a full pin, as far as the index tells."""
    version = version or _newest(name)
    if version is None:
        return f"The package {name!r} needs a version and a sha256, and the index tells of none: NAME==VERSION."
    pins = [
        f"{kind}: {name}=={version} with sha256 {found}"
        for kind, option in (("source archive", "--no-binary"), ("wheel", "--only-binary"))
        if (found := _digest_offered(name, version, option))
    ]
    told = "; ".join(pins) or "the index offers no file of it"
    return f"The package {name!r} is not pinned, it needs NAME==VERSION and the file's sha256. {told}."


def _newest(name: str) -> str | None:
    ran = _pip("index", "versions", name)
    match = re.search(r"\(([^)]+)\)", ran.stdout)
    return match[1] if ran.returncode == 0 and match else None


def _digest_offered(name: str, version: str, option: str) -> str | None:
    """The sha256 of the file that pip would take: asked for an impossible digest, pip names the one it got."""
    with tempfile.TemporaryDirectory() as folder:
        ran = _pip_download(f"{name}=={version}", UNKNOWN, Path(folder), option, ":all:")
    match = re.search(r"Got\s+([0-9a-f]{64})", ran.stderr)
    return match[1] if match else None


def _download(requirement: str, sha256: str) -> Path:
    DOWNLOADS.mkdir(parents=True, exist_ok=True)
    log.info("Fetching %s", requirement)
    with tempfile.TemporaryDirectory(dir=DOWNLOADS, prefix=".") as folder:
        ran = _pip_download(requirement, sha256, Path(folder))
        if "Got " in ran.stderr:  # where the index tells no digests pip prefers a wheel, whatever the pin
            source = _pip_download(requirement, sha256, Path(folder), "--no-binary", ":all:")
            ran = ran if source.returncode else source
        if ran.returncode:
            raise _explain(requirement, sha256, ran.stdout + ran.stderr)
        (file,) = Path(folder).iterdir()
        place = DOWNLOADS / sha256 / file.name
        place.parent.mkdir(exist_ok=True)
        file.replace(place)
    return place


def _pip_download(requirement: str, sha256: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    pins = folder / "pins.txt"
    pins.write_text(f"{requirement} --hash=sha256:{sha256}\n")
    try:
        return _pip(
            "download", "--no-deps", "--no-build-isolation", "--require-hashes", "--retries=1", "--progress-bar=off",
            *options, "--requirement", str(pins), "--dest", str(folder),
        )  # fmt: skip
    finally:
        pins.unlink()


def _pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "--no-input", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _explain(requirement: str, sha256: str, output: str) -> SourceError:
    """The error behind pip's words."""
    if got := re.search(r"Got\s+([0-9a-f]{64})", output):
        return SourceError(
            f"{requirement} has another sha256 than params.yaml pins: wanted {sha256}, got {got[1]}. Nothing of it was "
            "unpacked. Correct the pin if you trust the new file; else someone may have tampered with it."
        )
    if "No space left on device" in output:
        return SourceError(f"No space left on the disk for {requirement} in {DOWNLOADS}. Free some and run again.")
    if "No module named pip" in output:
        return SourceError(f"{requirement} is fetched with pip, and {sys.executable} has none: `python -m ensurepip`.")
    if backend := re.search(r"Cannot import '([\w.]+)'", output):
        return SourceError(
            f"pip needs {backend[1]!r} to read the metadata of the source archive of {requirement}. Pin its wheel "
            "instead, or install that build tool."
        )
    versions = re.search(r"from versions: ([^)]*)\)", output)
    if versions and versions[1] != "none":
        return SourceError(f"The index has no {requirement} that fits. It has {versions[1]}.")
    if versions and "connection broken" not in output:
        return SourceError(f"The index that pip is set up with has no {requirement}. Look at `pip config list`.")
    lines = [line for line in output.splitlines() if line.startswith(("ERROR", "WARNING: Retrying", "error"))]
    return _OutOfReachError(
        f"{requirement} could not be fetched: is there a network, and the right index in `pip config list`? "
        f"pip says: {lines[0] if lines else output.strip()[-200:]}"
    )
