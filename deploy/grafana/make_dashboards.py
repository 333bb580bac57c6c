"""Grafana's dashboards, as they are in `dashboards/`: `python deploy/grafana/make_dashboards.py` writes them.

What a panel says of itself is the metric's meaning and knob, from the list in `streams.telemetry.metrics`.
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from streams.telemetry.metrics import METRICS

FOLDER = Path(__file__).parent / "dashboards"
METRIC = re.compile(r"\b(?:tagstream|process)_\w+")
SUFFIXES = ("_bucket", "_sum", "_count")
_WIDTH, _HEIGHT, _COLUMNS = 8, 8, 3
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_OF = 'instance=~"$instance"'


@dataclass(frozen=True)
class Panel:
    """One graph: queries by their legends."""

    title: str
    unit: str
    queries: dict[str, str]
    kind: str = "timeseries"

    @property
    def description(self) -> str:
        """What its metrics mean, and which knob to turn."""
        names = dict.fromkeys(name for query in self.queries.values() for name in METRIC.findall(query))
        metrics = dict.fromkeys(metric_of(name) for name in names)
        return "\n\n".join(f"{METRICS[name].meaning} Knob: {METRICS[name].knob}" for name in metrics)


@dataclass(frozen=True)
class Dashboard:
    """Some panels under a name."""

    name: str
    about: str
    panels: tuple[Panel, ...] = field(default=())


def metric_of(series: str) -> str:
    """The metric that a series belongs to."""
    cut = next((series.removesuffix(suffix) for suffix in SUFFIXES if series.endswith(suffix)), series)
    return series if series in METRICS else cut


def _rate(name: str, by: str = "", more: str = "") -> str:
    summed = f"sum by ({by})" if by else "sum"
    return f"{summed} (rate({name}{{{_OF}{more}}}[$__rate_interval]))"


def _quantile(share: float, name: str, by: str = "", more: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, {_rate(f'{name}_bucket', labels, more)})"


def _mean(name: str, by: str = "") -> str:
    return f"{_rate(f'{name}_sum', by)} / {_rate(f'{name}_count', by)}"


def _now(name: str, by: str, of: str = "sum") -> str:
    return f"{of} by ({by}) ({name}{{{_OF}}})"


PIPELINE = Dashboard(
    "pipeline",
    "What comes in and out, and which stage takes long.",
    (
        Panel(
            "Records",
            "ops",
            {
                "uploads": _rate("tagstream_uploads_total"),
                "results": _rate("tagstream_results_total"),
                "tag-updates": _rate("tagstream_tag_updates_total"),
                "dead letters": _rate("tagstream_dead_letters_total"),
            },
        ),
        Panel("Outcomes", "ops", {"{{outcome}}": _rate("tagstream_outcomes_total", "outcome")}),
        Panel(
            "From event time to commit",
            "s",
            {
                "half": _quantile(0.5, "tagstream_e2e_latency_seconds"),
                "99 of 100": _quantile(0.99, "tagstream_e2e_latency_seconds"),
            },
        ),
        Panel(
            "Stages: 99 of 100 take less",
            "s",
            {"{{stage}}": _quantile(0.99, "tagstream_stage_duration_seconds", "stage")},
        ),
        Panel(
            "Stages: where time goes",
            "s",
            {"{{stage}}": _rate("tagstream_stage_duration_seconds_sum", "stage")},
        ),
        Panel("Model, per image", "s", {"{{add_on}}": _mean("tagstream_model_seconds", "add_on")}),
        Panel(
            "Tagger's threads",
            "none",
            {
                "threads": _now("tagstream_tagger_threads", "job"),
                "busy": _now("tagstream_tagger_threads_busy", "job"),
                "images that wait": _now("tagstream_tagger_queue_images", "job"),
            },
        ),
        Panel("Images in a batch", "none", {"mean": _mean("tagstream_batch_images")}),
        Panel("CPU", "none", {"{{instance}}": _rate("process_cpu_seconds_total", "instance")}),
        Panel("Memory", "bytes", {"{{instance}}": _now("process_resident_memory_bytes", "instance")}),
        Panel(
            "Restarts in an hour",
            "none",
            {"{{reason}}": f"sum by (reason) (increase(tagstream_restarts_total{{{_OF}}}[1h]))"},
        ),
        Panel(
            "Checks that warn or fail",
            "none",
            {"{{status}}": _now("tagstream_findings", "status")},
            "stat",
        ),
        Panel(
            "Programs and models",
            "none",
            {
                "tagstream {{version}}": _now("tagstream_build_info", "version"),
                "{{add_on}}: {{model}} {{model_version}}": _now(
                    "tagstream_model_info", "add_on, model, model_version"
                ),
            },
            "stat",
        ),
    ),
)

PARTITIONS = Dashboard(
    "partitions",
    "Lag, retries and transactions of each partition.",
    (
        Panel("Lag", "none", {"{{partition}}": _now("tagstream_partition_lag_records", "partition")}),
        Panel(
            "Lag in time", "s", {"{{partition}}": _now("tagstream_partition_lag_seconds", "partition", "max")}
        ),
        Panel(
            "Partitions ready and owned",
            "none",
            {
                "ready": _now("tagstream_partition_ready", "job"),
                "{{instance}} owns": _now("tagstream_partitions_owned", "instance"),
            },
        ),
        Panel(
            "Records in work",
            "none",
            {"{{partition}}": _now("tagstream_partition_in_flight_records", "partition")},
        ),
        Panel(
            "Retries that wait",
            "none",
            {"{{partition}}": _now("tagstream_retries_waiting_records", "partition")},
        ),
        Panel(
            "Oldest retry",
            "s",
            {"{{partition}}": _now("tagstream_retries_oldest_seconds", "partition", "max")},
        ),
        Panel(
            "Records behind an open transaction",
            "none",
            {"{{partition}}": _now("tagstream_open_transaction_records", "partition")},
        ),
        Panel(
            "Uploads deleted before they were read",
            "none",
            {"{{partition}}": _now("tagstream_uploads_skipped_records", "partition")},
        ),
        Panel("Transactions", "ops", {"{{result}}": _rate("tagstream_transactions_total", "result")}),
        Panel("Events in a transaction", "none", {"mean": _mean("tagstream_transaction_events")}),
        Panel("Bytes of a transaction", "bytes", {"mean": _mean("tagstream_transaction_size_bytes")}),
        Panel(
            "Commits: 99 of 100 take less",
            "s",
            {"commit": _quantile(0.99, "tagstream_stage_duration_seconds", more=', stage="commit"')},
        ),
        Panel("Kafka answers", "none", {"{{instance}}": _now("tagstream_kafka_up", "instance", "min")}),
    ),
)

QUERIES = Dashboard(
    "queries",
    "Answers, the state that they are made of, and the event loop.",
    (
        Panel("Answers by route", "ops", {"{{route}}": _rate("tagstream_http_requests_total", "route")}),
        Panel("Answers by status", "ops", {"{{status}}": _rate("tagstream_http_requests_total", "status")}),
        Panel(
            "Answers: half take less",
            "s",
            {"{{route}}": _quantile(0.5, "tagstream_http_request_duration_seconds", "route")},
        ),
        Panel(
            "Answers: 99 of 100 take less",
            "s",
            {"{{route}}": _quantile(0.99, "tagstream_http_request_duration_seconds", "route")},
        ),
        Panel(
            "Answers cover all partitions",
            "none",
            {
                "{{instance}} complete": _now("tagstream_state_complete", "instance", "min"),
                "{{instance}} behind": _now("tagstream_partitions_behind", "instance"),
            },
        ),
        Panel(
            "Event loop is late: 99 of 100 less",
            "s",
            {"{{instance}}": _quantile(0.99, "tagstream_event_loop_lag_seconds", "instance")},
        ),
        Panel(
            "Event loop held for, at most",
            "s",
            {"{{instance}}, {{time}}": _now("tagstream_event_loop_longest_seconds", "instance, time", "max")},
        ),
        Panel("Rows of the state", "none", {"{{table}}": _now("tagstream_state_rows", "table", "max")}),
        Panel(
            "Bytes of the state", "bytes", {"{{table}}": _now("tagstream_state_size_bytes", "table", "max")}
        ),
        Panel(
            "Snapshots in an hour",
            "none",
            {"{{result}}": f"sum by (result) (increase(tagstream_snapshots_total{{{_OF}}}[1h]))"},
        ),
    ),
)

SOURCES = Dashboard(
    "sources",
    "Where images come from: fetching, waiting, giving up.",
    (
        Panel(
            "A fetch takes",
            "s",
            {
                "half": _quantile(0.5, "tagstream_stage_duration_seconds", more=', stage="fetch"'),
                "99 of 100": _quantile(0.99, "tagstream_stage_duration_seconds", more=', stage="fetch"'),
            },
        ),
        Panel("Bytes of images", "Bps", {"tagged": _rate("tagstream_images_bytes_total")}),
        Panel("Hosts left alone", "none", {"{{instance}}": _now("tagstream_circuits_open", "instance")}),
        Panel(
            "Memory of fetches",
            "bytes",
            {
                "taken": _now("tagstream_fetch_memory_bytes", "job"),
                "limit": _now("tagstream_fetch_memory_limit_bytes", "job"),
            },
        ),
        Panel(
            "Not yet: source busy or slow",
            "ops",
            {"{{outcome}}": _rate("tagstream_outcomes_total", "outcome", ', outcome=~"deferred|parked"')},
        ),
        Panel("Uploads that wait", "none", {"all": _now("tagstream_retries_waiting_records", "job")}),
        Panel("Dead letters", "ops", {"{{reason}}": _rate("tagstream_dead_letters_total", "reason")}),
    ),
)
DASHBOARDS = (PIPELINE, PARTITIONS, QUERIES, SOURCES)


def _target(number: int, legend: str, query: str) -> dict[str, object]:
    return {
        "refId": chr(ord("A") + number),
        "datasource": _SOURCE,
        "expr": query,
        "legendFormat": legend,
    }


def _panel(number: int, panel: Panel) -> dict[str, object]:
    row, column = divmod(number, _COLUMNS)
    return {
        "id": number + 1,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": _SOURCE,
        "gridPos": {"h": _HEIGHT, "w": _WIDTH, "x": column * _WIDTH, "y": row * _HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [_target(place, *query) for place, query in enumerate(panel.queries.items())],
    }


def _variables() -> list[dict[str, Any]]:
    source = {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    instance = {
        "name": "instance",
        "label": "Worker",
        "type": "query",
        "datasource": _SOURCE,
        "query": "label_values(tagstream_build_info, instance)",
        "refresh": 2,
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
    }
    return [source, instance]


def json_of(dashboard: Dashboard) -> str:
    """What Grafana is provisioned with."""
    document = {
        "uid": f"tagstream-{dashboard.name}",
        "title": f"Tagstream: {dashboard.name}",
        "description": dashboard.about,
        "tags": ["tagstream"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "links": [{"type": "dashboards", "tags": ["tagstream"], "title": "Tagstream", "asDropdown": False}],
        "templating": {"list": _variables()},
        "panels": [_panel(number, panel) for number, panel in enumerate(dashboard.panels)],
    }
    return json.dumps(document, indent=1) + "\n"


if __name__ == "__main__":
    for each in DASHBOARDS:
        (FOLDER / f"{each.name}.json").write_text(json_of(each), "utf-8")
