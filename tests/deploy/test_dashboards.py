"""Grafana's dashboards: as their program writes them, and of metrics that exist."""

import json
import re
from pathlib import Path

import pytest
import yaml
from make_dashboards import DASHBOARDS, FOLDER, Dashboard, json_of
from support.watching.queries import fault_of_query

GRAFANA = Path(__file__).parents[2] / "deploy" / "grafana"


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.name)
def test_the_file_is_what_the_program_writes(dashboard: Dashboard) -> None:
    """Run `python deploy/grafana/make_dashboards.py` after a change."""
    assert (FOLDER / f"{dashboard.name}.json").read_text("utf-8") == json_of(dashboard)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_queries_ask_for_what_there_is(path: Path) -> None:
    """Each names metrics, labels and values of the list, and each legend a label that its query keeps."""
    document = json.loads(path.read_text("utf-8"))
    assert document["uid"] == f"tagstream-{path.stem}"
    for panel in document["panels"]:
        assert panel["description"], panel["title"]
        for target in panel["targets"]:
            assert fault_of_query(target["expr"]) is None, target["expr"]
            kept = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", target["expr"]))))
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= kept


def test_every_dashboard_is_a_file() -> None:
    """No more, no less."""
    assert {path.stem for path in FOLDER.glob("*.json")} == {dashboard.name for dashboard in DASHBOARDS}


def test_grafana_finds_what_it_is_provisioned_with() -> None:
    """The data source is Prometheus; the dashboards' folder is where Compose mounts it."""
    provisioning = GRAFANA / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text("utf-8"))[
        "datasources"
    ]
    (provider,) = yaml.safe_load((provisioning / "dashboards/tagstream.yml").read_text("utf-8"))["providers"]
    compose = yaml.safe_load((GRAFANA.parents[1] / "docker-compose.yml").read_text("utf-8"))["services"]
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in compose
    mounts = dict(volume.split(":")[:2] for volume in compose["grafana"]["volumes"])
    assert mounts["./deploy/grafana/dashboards"] == provider["options"]["path"]
    assert mounts["./deploy/grafana/provisioning"] == "/etc/grafana/provisioning"
