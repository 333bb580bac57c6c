"""The alerts as a PrometheusRule: `python deploy/kubernetes/make_rule.py` writes it."""

from pathlib import Path

import yaml

ALERTS = Path(__file__).parents[1] / "prometheus" / "alerts.yml"
RULE = Path(__file__).parent / "components" / "monitoring" / "prometheus-rule.yaml"


def rule_of_alerts() -> str:
    """Made of the file that Prometheus reads."""
    document = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "tagstream", "labels": {"app.kubernetes.io/name": "tagstream"}},
        "spec": yaml.safe_load(ALERTS.read_text("utf-8")),
    }
    head = "# Made by deploy/kubernetes/make_rule.py of deploy/prometheus/alerts.yml.\n"
    return head + yaml.safe_dump(document, sort_keys=False, width=110)


if __name__ == "__main__":
    RULE.write_text(rule_of_alerts(), "utf-8")
