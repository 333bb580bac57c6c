"""The Kustomize base, its components and overlays: rendered, fit for the API, and in step with the code."""

import copy
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from make_rule import ALERTS, RULE, rule_of_alerts
from support.watching.programs import program

from schemas.topics import TopicNames
from streams.app.roles import Role
from streams.app.settings import Settings, variable
from streams.kafka.connection import VARIABLES
from streams.web.access.guard import Guard

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
API = "1.33"
OVERLAYS = sorted(path.parent for path in FOLDER.glob("overlays/*/kustomization.yaml"))
KNOWN = {*VARIABLES.values(), *(variable(name) for name in Settings.__dataclass_fields__)}
# Kinds that an operator brings: the fields of `spec` that we use, and must not misspell.
BROUGHT = {
    "ServiceMonitor": {"jobLabel", "selector", "endpoints"},
    "PrometheusRule": {"groups"},
    "ScaledObject": {
        "scaleTargetRef",
        "minReplicaCount",
        "maxReplicaCount",
        "pollingInterval",
        "cooldownPeriod",
        "triggers",
    },
}
Manifests = list[dict[str, Any]]


def rendered(folder: Path) -> Manifests:
    """What an overlay comes to, by kubectl or kustomize themselves."""
    command = [program("kubectl", "kustomize")]
    command.append("kustomize" if command[0].endswith("kubectl") else "build")
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def of_kind(manifests: Manifests, kind: str) -> Manifests:
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def pod_of(stateful_set: Mapping[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = stateful_set["spec"]["template"]["spec"]
    return spec


def fault_of(manifest: dict[str, Any]) -> str | None:
    """Why a cluster would not take it, as far as is known without one."""
    if manifest["kind"] in BROUGHT:
        unknown = manifest["spec"].keys() - BROUGHT[manifest["kind"]]
        return f"unknown: {sorted(unknown)}" if unknown else None
    try:
        kubernetes_validate.validate(manifest, API, strict=True)
    except kubernetes_validate.ValidationError as error:
        return str(error)
    return None


@pytest.mark.parametrize("overlay", [FOLDER / "base", *OVERLAYS], ids=lambda path: path.name)
def test_overlays_fit_the_api(overlay: Path) -> None:
    """A cluster of this version takes all that they render to; names are of things that are there."""
    manifests = rendered(overlay)
    assert [fault for fault in map(fault_of, manifests) if fault] == []
    places = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests]
    assert len(places) == len(set(places))
    for stateful_set in of_kind(manifests, "StatefulSet"):
        assert ("Service", stateful_set["spec"]["serviceName"]) in places
        for source in pod_of(stateful_set)["containers"][0]["envFrom"]:
            if "configMapRef" in source:
                assert ("ConfigMap", source["configMapRef"]["name"]) in places
    for scaled in of_kind(manifests, "ScaledObject"):
        target = scaled["spec"]["scaleTargetRef"]
        assert (target["kind"], target["name"]) in places


def test_a_misspelt_manifest_would_be_found() -> None:
    """The check can fail."""
    for kind, spec in (("StatefulSet", "updateStrateggy"), ("ScaledObject", "trigers")):
        (right,) = of_kind(rendered(OVERLAYS[0]), kind)
        wrong = copy.deepcopy(right)
        wrong["spec"][spec] = {}
        assert fault_of(right) is None
        assert spec in str(fault_of(wrong))


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.name)
def test_workers_know_their_settings(overlay: Path) -> None:
    """Each variable exists and its value is one that a worker takes; whoever asks needs a token."""
    manifests = rendered(overlay)
    for config in of_kind(manifests, "ConfigMap"):
        settings = Settings.from_mapping(config["data"])
        assert settings.tokens is not None
        assert not settings.open_api
        assert config["data"].keys() <= KNOWN
    for stateful_set in of_kind(manifests, "StatefulSet"):
        (container,) = pod_of(stateful_set)["containers"]
        assert {item["name"] for item in container["env"]} <= KNOWN
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert ports == {"http": Settings().web_port, "metrics": Settings().metrics_port}


def test_all_roles_are_played() -> None:
    """By every worker, or by workers of their own, of which those that tag are scaled by lag."""
    everyone, split = (rendered(FOLDER / "overlays" / name) for name in ("all-roles", "split-roles"))
    (config,) = of_kind(everyone, "ConfigMap")
    assert Settings.from_mapping(config["data"]).chosen_roles == {Role.TAG, Role.QUERY, Role.PAGE}
    roles = {
        config["metadata"]["name"]: Settings.from_mapping(config["data"]).chosen_roles
        for config in of_kind(split, "ConfigMap")
    }
    assert roles == {"tagstream-tag": {Role.TAG}, "tagstream-query": {Role.QUERY, Role.PAGE}}
    (scaled,) = of_kind(split, "ScaledObject")
    assert scaled["spec"]["scaleTargetRef"]["name"] == "tagstream-tag"
    selectors = [
        tuple(pods["spec"]["selector"]["matchLabels"].items()) for pods in of_kind(split, "StatefulSet")
    ]
    assert len(set(selectors)) == 2
    (budgets, services) = of_kind(split, "PodDisruptionBudget"), of_kind(split, "Service")
    assert {tuple(budget["spec"]["selector"]["matchLabels"].items()) for budget in budgets} == set(selectors)
    assert {tuple(service["spec"]["selector"].items()) for service in services} == set(selectors)


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.name)
def test_the_page_is_reached_and_has_pictures(overlay: Path) -> None:
    """By HTTPS, with photos as large as they may be; pictures are kept where the page looks for them."""
    manifests = rendered(overlay)
    all_settings = [Settings.from_mapping(config["data"]) for config in of_kind(manifests, "ConfigMap")]
    assert all(settings.thumbnails for settings in all_settings)
    (store,) = {settings.object_store for settings in all_settings}
    assert "://" in store
    for stateful_set in of_kind(manifests, "StatefulSet"):
        (container,) = pod_of(stateful_set)["containers"]
        assert {"secretRef": {"name": "tagstream-object-store", "optional": True}} in container["envFrom"]
    (ingress,) = of_kind(manifests, "Ingress")
    ((rule,), (tls,)) = ingress["spec"]["rules"], ingress["spec"]["tls"]
    assert tls["hosts"] == [rule["host"]]
    (path,) = rule["http"]["paths"]
    service = path["backend"]["service"]
    (page,) = [
        config["metadata"]["name"]
        for config in of_kind(manifests, "ConfigMap")
        if Settings.from_mapping(config["data"]).is_page
    ]
    assert (path["path"], service) == ("/", {"name": page, "port": {"name": "http"}})
    most = ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-body-size"]
    assert int(most.removesuffix("m")) * 2**20 >= Settings().max_image_bytes
    (policy,) = of_kind(manifests, "NetworkPolicy")
    assert {"kubernetes.io/metadata.name": "ingress-nginx"} in [
        source["namespaceSelector"]["matchLabels"]
        for source in policy["spec"]["ingress"][0]["from"]
        if "namespaceSelector" in source
    ]


def test_tokens_are_where_the_worker_looks(tmp_path: Path) -> None:
    """The secret is mounted at the path that the setting names, and a guard takes a file of its mode."""
    manifests = rendered(FOLDER / "base")
    (config,), (stateful_set,) = of_kind(manifests, "ConfigMap"), of_kind(manifests, "StatefulSet")
    pod = pod_of(stateful_set)
    mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    assert config["data"]["TAGSTREAM_TOKENS"].startswith(mounts["tokens"] + "/")
    tokens = tmp_path / "tokens.toml"
    tokens.write_text("")
    (secret,) = [volume["secret"] for volume in pod["volumes"] if volume["name"] == "tokens"]
    tokens.chmod(secret["defaultMode"])
    Guard.of(Settings.from_mapping({**config["data"], "TAGSTREAM_TOKENS": str(tokens)}))
    (claim,) = stateful_set["spec"]["volumeClaimTemplates"]
    dockerfile = (FOLDER.parents[1] / "Dockerfile").read_text("utf-8")
    assert f"TAGSTREAM_DATA_DIR={mounts[claim['metadata']['name']]}\n" in dockerfile


def test_scaling_follows_the_lag_of_the_workers_group() -> None:
    """Group, topic and target are the workers', and never more of them than partitions with a lag."""
    manifests = rendered(FOLDER / "overlays" / "all-roles")
    (config,), (scaled,) = of_kind(manifests, "ConfigMap"), of_kind(manifests, "ScaledObject")
    (trigger,) = scaled["spec"]["triggers"]
    settings = Settings.from_mapping(config["data"])
    assert trigger["metadata"]["consumerGroup"] == settings.app_id
    assert trigger["metadata"]["topic"] == TopicNames.of(settings).uploads
    assert trigger["metadata"]["bootstrapServers"] == config["data"]["KAFKA_BOOTSTRAP_SERVERS"]
    assert trigger["metadata"]["excludePersistentLag"] == "true"
    assert trigger["metadata"]["limitToPartitionsWithLag"] == "true"
    assert scaled["spec"]["maxReplicaCount"] <= settings.partitions


def test_the_operator_gets_the_alerts_that_prometheus_reads() -> None:
    """Run `python deploy/kubernetes/make_rule.py` after a change. The job is that of the alerts."""
    assert RULE.read_text("utf-8") == rule_of_alerts()
    manifests = rendered(FOLDER / "overlays" / "all-roles")
    (rule,), (monitor,) = of_kind(manifests, "PrometheusRule"), of_kind(manifests, "ServiceMonitor")
    assert rule["spec"] == yaml.safe_load(ALERTS.read_text("utf-8"))
    (service,) = of_kind(manifests, "Service")
    labels = service["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert labels[monitor["spec"]["jobLabel"]] == "tagstream"
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}


def test_each_component_is_a_switch() -> None:
    """An overlay without it renders; what it brings is then not there."""
    kinds = {manifest["kind"] for manifest in rendered(FOLDER / "base")}
    assert kinds == {"ConfigMap", "Service", "StatefulSet"}
    brought = {manifest["kind"] for manifest in rendered(FOLDER / "overlays" / "all-roles")} - kinds
    assert brought == {*BROUGHT, "PodDisruptionBudget", "NetworkPolicy", "Ingress"}
    used = (FOLDER / "overlays" / "all-roles" / "kustomization.yaml").read_text("utf-8")
    assert {path.name for path in FOLDER.glob("components/*") if f"/{path.name}" not in used} == set()
