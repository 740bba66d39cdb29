"""Compose file, image and Kubernetes manifests agree with the service and with each other."""

import re
from pathlib import Path

import pytest
import yaml

from serving.security import OPEN
from serving.settings import ServingSettings, load_serving

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
MANIFESTS = DEPLOY / "kubernetes"
UID = 10001


def manifest(name):
    return yaml.safe_load((MANIFESTS / f"{name}.yaml").read_text())


def pod():
    return manifest("deployment")["spec"]["template"]


def container():
    return pod()["spec"]["containers"][0]


def dockerfile():
    return (DEPLOY / "Dockerfile").read_text()


def test_every_variable_of_compose_is_in_the_example():
    used = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text()))
    given = dict(re.findall(r"^(\w+)=(.*)$", (DEPLOY / ".env.example").read_text(), re.MULTILINE))
    assert used == given.keys()
    assert not [name for name, value in given.items() if value and name.endswith(("PASSWORD", "AUTH"))]


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_compose_service(name):
    service = COMPOSE["services"][name]
    assert all(port.startswith("${BIND:-127.0.0.1}:") for port in service.get("ports", []))
    assert "no-new-privileges:true" in service["security_opt"]
    assert "healthcheck" in service or "HEALTHCHECK" in dockerfile()
    if "build" not in service:
        assert re.search(r":v?\d", service["image"]), "a version, not what is newest today"


def test_compose_secrets_have_no_default():
    text = (DEPLOY / "compose.yaml").read_text()
    assert all(":?" in use for use in re.findall(r"\$\{\w*(?:PASSWORD|AUTH)\w*([^}]*)\}", text))


def test_compose_mounts_what_is_there():
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            if source.startswith("./"):
                assert (DEPLOY / source).exists()
            elif not source.startswith((".", "$")):
                assert source in COMPOSE["volumes"]


def test_image_runs_as_nobody_special_and_copies_what_is_there():
    text = dockerfile()
    assert text.rindex(f"USER {UID}:{UID}") > text.rindex("RUN ")
    taken = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
    sources = {source for given in taken for source in given.split()}
    assert all((ROOT / source).exists() for source in sources)
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert {line[1:] for line in ignored if line.startswith("!")} == sources


def test_prefect_is_the_version_that_is_pinned():
    pinned = re.search(r"^prefect==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)[1]
    assert COMPOSE["services"]["prefect"]["image"].startswith(f"prefecthq/prefect:{pinned}-")


def test_manifests_name_each_other():
    labels = pod()["metadata"]["labels"]
    assert manifest("deployment")["spec"]["selector"]["matchLabels"] == labels
    assert manifest("service")["spec"]["selector"] == labels
    assert manifest("disruption")["spec"]["selector"]["matchLabels"] == labels
    assert manifest("autoscaler")["spec"]["scaleTargetRef"]["name"] == manifest("deployment")["metadata"]["name"]
    ports = {port["name"] for port in container()["ports"]}
    assert {port["targetPort"] for port in manifest("service")["spec"]["ports"]} <= ports
    kustomization = manifest("kustomization")
    assert {path.name for path in MANIFESTS.glob("*.yaml")} == {
        "kustomization.yaml", *kustomization["resources"], *kustomization["configMapGenerator"][0]["files"],
    }  # fmt: skip
    mounted = {mount["name"] for mount in container()["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod()["spec"]["volumes"]}


def test_probes_need_no_key():
    probes = [container()[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")]
    assert set(probes) <= OPEN
    assert re.search(r"127\.0\.0\.1:8000(/[\w/]+)", dockerfile())[1] in OPEN


def test_pod_may_do_little():
    assert pod()["spec"]["securityContext"]["runAsNonRoot"]
    assert pod()["spec"]["securityContext"]["runAsUser"] == UID
    assert container()["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_time_to_stop_is_enough():
    settings = load_serving(MANIFESTS / "params.yaml")
    grace = pod()["spec"]["terminationGracePeriodSeconds"]
    before = container()["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert grace >= before + settings.stop_seconds + 15
    assert int(COMPOSE["services"]["service"]["stop_grace_period"].rstrip("s")) >= ServingSettings().stop_seconds + 15
