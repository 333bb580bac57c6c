"""The Kubernetes manifests fit the API's schemas, and name what the code knows."""

import copy
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from schemas.topics import TopicNames
from streams.app.settings import Settings, variable
from streams.kafka.connection import VARIABLES
from streams.web.access.guard import Guard

FOLDER = Path(__file__).parents[2] / "docs" / "kubernetes"
API = "1.33"
WORKER = list(yaml.safe_load_all((FOLDER / "worker.yaml").read_text("utf-8")))
(SCALED,) = yaml.safe_load_all((FOLDER / "autoscaling.yaml").read_text("utf-8"))
KNOWN = {*VARIABLES.values(), *(variable(name) for name in Settings.__dataclass_fields__)}


def of_kind(kind: str) -> dict[str, Any]:
    (found,) = [manifest for manifest in WORKER if manifest["kind"] == kind]
    return found


def pod() -> dict[str, Any]:
    spec: dict[str, Any] = of_kind("StatefulSet")["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("manifest", WORKER, ids=lambda manifest: manifest["kind"])
def test_manifests_fit_the_api(manifest: dict[str, Any]) -> None:
    """A cluster of this version takes them, and no field of theirs is unknown to it."""
    kubernetes_validate.validate(manifest, API, strict=True)


def test_a_misspelt_manifest_would_be_found() -> None:
    """The check can fail."""
    wrong = copy.deepcopy(of_kind("StatefulSet"))
    wrong["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, API, strict=True)


def test_workers_know_their_settings() -> None:
    """Each variable exists and its value is one that a worker takes; whoever asks needs a token."""
    values = of_kind("ConfigMap")["data"]
    named = {item["name"] for item in pod()["containers"][0]["env"]}
    assert {*values, *named} <= KNOWN
    settings = Settings.from_mapping(values)
    assert settings.tokens is not None
    assert not settings.open_api


def test_tokens_are_where_the_worker_looks(tmp_path: Path) -> None:
    """The secret is mounted at the path that the setting names, and a guard takes a file of its mode."""
    settings = Settings.from_mapping(of_kind("ConfigMap")["data"])
    mounts = {mount["name"]: mount["mountPath"] for mount in pod()["containers"][0]["volumeMounts"]}
    assert str(settings.tokens).startswith(mounts["tokens"] + "/")
    tokens = tmp_path / "tokens.toml"
    tokens.write_text("")
    (secret,) = [volume["secret"] for volume in pod()["volumes"] if volume["name"] == "tokens"]
    tokens.chmod(secret["defaultMode"])
    Guard.of(Settings.from_mapping({**of_kind("ConfigMap")["data"], "TAGSTREAM_TOKENS": str(tokens)}))


def test_data_survives_a_pod() -> None:
    """The image's data directory is on the claimed volume."""
    (claim,) = of_kind("StatefulSet")["spec"]["volumeClaimTemplates"]
    mounts = {mount["name"]: mount["mountPath"] for mount in pod()["containers"][0]["volumeMounts"]}
    dockerfile = (FOLDER.parents[1] / "Dockerfile").read_text("utf-8")
    assert f"TAGSTREAM_DATA_DIR={mounts[claim['metadata']['name']]}\n" in dockerfile


def test_scaling_follows_the_lag_of_the_workers_group() -> None:
    """Group, topic and target are the workers', and never more of them than partitions."""
    (trigger,) = SCALED["spec"]["triggers"]
    settings = Settings.from_mapping(of_kind("ConfigMap")["data"])
    assert trigger["metadata"]["consumerGroup"] == settings.app_id
    assert trigger["metadata"]["topic"] == TopicNames.of(settings).uploads
    assert SCALED["spec"]["scaleTargetRef"]["name"] == of_kind("StatefulSet")["metadata"]["name"]
    assert SCALED["spec"]["maxReplicaCount"] <= settings.partitions
