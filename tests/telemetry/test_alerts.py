"""The alerts that operators copy: of metrics that exist, in a language that Prometheus reads."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.app.settings import Settings
from streams.telemetry.metrics import METRICS

FOLDER = Path(__file__).parents[2] / "docs" / "prometheus"
(GROUP,) = yaml.safe_load((FOLDER / "alerts.yml").read_text("utf-8"))["groups"]
CONFIG = yaml.safe_load((FOLDER / "prometheus.yml").read_text("utf-8"))


@pytest.mark.parametrize("rule", GROUP["rules"], ids=lambda rule: rule["alert"])
def test_alerts_are_on_metrics_that_exist(rule: dict[str, Any]) -> None:
    """With labels of theirs, and a summary that says what to look at."""
    named = re.findall(r"tagstream_\w+", rule["expr"])
    metrics = [METRICS[name.removesuffix("_bucket")] for name in named]
    assert metrics or rule["expr"].startswith("up{")
    labels = {label.name for metric in metrics for label in metric.labels} | {"instance", "job"}
    asked = re.findall(r"(\w+)(?:=~|!=|=)\"", rule["expr"])
    shown = re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])
    assert {*asked, *shown} <= labels


def test_alerts_match_values_that_exist() -> None:
    """A reason that is asked for is one of the closed set."""
    asked = [re.findall(r'reason!?="(\w+)"', rule["expr"]) for rule in GROUP["rules"]]
    values = {
        value
        for name in ("tagstream_dead_letters_total", "tagstream_restarts_total")
        for value in METRICS[name].labels[0].values or ()
    }
    assert {reason for reasons in asked for reason in reasons} <= values


def test_prometheus_looks_where_a_worker_is() -> None:
    """The default port, and these alerts."""
    (job,) = CONFIG["scrape_configs"]
    settings = Settings()
    assert job["static_configs"] == [{"targets": [f"{settings.metrics_host}:{settings.metrics_port}"]}]
    assert job["job_name"] == "tagstream"
    assert CONFIG["rule_files"] == ["alerts.yml"]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="Prometheus is not installed")
def test_prometheus_takes_them() -> None:
    """Its own tool reads configuration and rules."""
    command = ["promtool", "check", "config", str(FOLDER / "prometheus.yml")]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
