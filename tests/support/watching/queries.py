"""Whether a PromQL query asks for what there is: metrics, labels and values of the typed list."""

import re

from make_dashboards import METRIC, metric_of

from streams.telemetry.metrics import METRICS, OTHER

_SELECTOR = re.compile(r"\b((?:tagstream|process)_\w+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_GROUPS = re.compile(r"\b(?:by|on|without|ignoring) \(([^)]*)\)")
_TARGET = {"instance", "job"}  # labels that Prometheus gives
_EVERYWHERE = _TARGET | {"le"}


def fault_of_query(query: str) -> str | None:
    """What a query names that does not exist; None: nothing."""
    labels = set(_EVERYWHERE)
    for series, matchers in _SELECTOR.findall(query):
        metric = METRICS.get(metric_of(series))
        if metric is None:
            return f"no metric {series}"
        known = {label.name: label.values for label in metric.labels}
        labels |= known.keys()
        for name, operator, value in _MATCHER.findall(matchers):
            if name not in known and name not in _EVERYWHERE:
                return f"{series} has no label {name}"
            values = known.get(name)
            if values is None or not value:
                continue
            wanted = [value] if operator in {"=", "!="} else value.split("|")
            for each in wanted:
                if not any(re.fullmatch(each, one) for one in (*values, OTHER)):
                    return f"{series} has no {name} {each!r}"
    for group in _GROUPS.findall(query):
        for name in filter(None, map(str.strip, group.split(","))):
            if name not in labels:
                return f"no label {name} in any of its metrics"
    return None if METRIC.search(query) or "up{" in query else "no metric at all"
