"""prefect.yaml: what runs by itself. It names the lines that params.yaml has, and Prefect holds what it says."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from flows.scheduled import TAG
from tasks.core.errors import SettingsError

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

FILE = Path("prefect.yaml")
PER_LINE = ("release", "monitor")
"""Deployments with a schedule for each line, whose slug is the line's name."""


def load() -> list[dict[str, Any]]:
    """The deployments of prefect.yaml. Raises SettingsError where it is missing or not readable."""
    try:
        content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"{FILE}, which says what runs by itself, is missing in {Path.cwd()}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{FILE} is not readable as YAML: {error}") from None
    found = content.get("deployments") if isinstance(content, dict) else None
    if not isinstance(found, list) or not all(isinstance(one, dict) and one.get("name") for one in found):
        raise SettingsError(f"{FILE} needs a list `deployments:` of blocks, each with a name.")
    return found


def check(lines: Iterable[str]) -> list[dict[str, Any]]:
    """The deployments, which schedule every line and no other. Raises SettingsError that says what to change."""
    deployments = {one["name"]: one for one in load()}
    problems = []
    for name in PER_LINE:
        if name not in deployments:
            problems.append(f"there is no deployment {name}")
            continue
        scheduled = slugs(deployments[name])
        problems += [f"{name} has no schedule for the line {line}: copy that of another line, with slug: {line}, "
                     f"parameters: {{line: {line}}} and, to start it by hand alone, active: false"
                     for line in lines if line not in scheduled]  # fmt: skip
        problems += [f"{name} has a schedule {slug!r}, but params.yaml has no such line: remove it"
                     for slug in sorted(scheduled - set(lines))]  # fmt: skip
    if problems:
        raise SettingsError(f"{FILE} does not fit params.yaml:\n" + "\n".join(f"- {problem}" for problem in problems))
    return list(deployments.values())


def slugs(deployment: dict[str, Any]) -> set[str]:
    """The names of its schedules."""
    return {schedule["slug"] for schedule in deployment.get("schedules") or [] if schedule.get("slug")}


def tidy(client: "SyncPrefectClient", deployments: Iterable[dict[str, Any]]) -> list[str]:
    """Delete the schedules in Prefect that prefect.yaml has no more: `prefect deploy` adds and changes only.

    Returns what was deleted, `deployment/slug` each.
    """
    from prefect.client.schemas import filters

    known = {one["name"]: slugs(one) for one in deployments}
    ours = filters.DeploymentFilter(tags=filters.DeploymentFilterTags(all_=[TAG]))
    gone = []
    for deployment in client.read_deployments(deployment_filter=ours):
        for schedule in deployment.schedules:
            if deployment.name in known and schedule.slug not in known[deployment.name]:
                client.delete_deployment_schedule(deployment.id, schedule.id)
                gone.append(f"{deployment.name}/{schedule.slug}")
    return gone
