"""The list of metrics: names as Prometheus has them, knobs that exist, and no metric beside it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.app.settings import Settings, variable
from streams.telemetry.metrics import CHECKS, METRICS, SECTIONS, Kind, Metric
from streams.telemetry.recorder import Recorder

STREAMS = Path(__file__).parents[2] / "streams"
NOT_OURS = "process_"
FORBIDDEN = {"public_id", "user", "user_id", "host", "url", "tag", "tenant", "event_id", "topic"}
SETTINGS = {variable(name) for name in Settings.__dataclass_fields__}


def names_in_code() -> Iterator[str]:
    """Every text that looks like one of our metrics, wherever metrics are told."""
    for source in STREAMS.rglob("*.py"):
        if source.name == "metrics.py":
            continue
        for node in ast.walk(ast.parse(source.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and re.fullmatch(r"tagstream(_\w+)+", str(node.value)):
                yield str(node.value)


def test_no_metric_is_named_twice() -> None:
    """The sections share none."""
    assert len(METRICS) == sum(map(len, SECTIONS.values())) > 30


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
def test_names_follow_prometheus(metric: Metric) -> None:
    """A counter ends with `_total`, what is in seconds or bytes says so, and histograms have buckets."""
    assert re.fullmatch(r"(tagstream|process)(_[a-z0-9]+)+", metric.name)
    assert (metric.kind is Kind.COUNTER) == metric.name.endswith("_total")
    if metric.unit in {"seconds", "bytes"}:
        assert metric.name.removesuffix("_total").endswith(f"_{metric.unit}")
    assert (metric.kind is Kind.HISTOGRAM) == bool(metric.buckets)
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert metric.meaning.endswith(".")
    assert metric.knob.endswith(".")


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
def test_knobs_are_settings(metric: Metric) -> None:
    """Each variable that a sentence names exists."""
    named = set(re.findall(r"TAGSTREAM(?:_[A-Z]+)+", metric.meaning + metric.knob))
    assert named <= SETTINGS
    assert set(re.findall(r"`(tagstream_\w+)`", metric.meaning + metric.knob)) <= METRICS.keys()


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
def test_labels_are_bounded(metric: Metric) -> None:
    """No label is what publishers or callers choose."""
    assert not {label.name for label in metric.labels} & FORBIDDEN


def test_what_the_code_tells_is_in_the_list() -> None:
    """And all that is in the list is told somewhere, but for what prometheus-client tells by itself."""
    listed = {name for name in METRICS if not name.startswith(NOT_OURS)}
    assert set(names_in_code()) == listed


def checks_in_code() -> Iterator[str]:
    """The first argument of whatever makes a finding: a text, or a constant of the module."""
    for source in STREAMS.rglob("*.py"):
        tree = ast.parse(source.read_text("utf-8"))
        constants = dict(constants_of(tree))
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or not node.args:
                continue
            if node.func.id in {"Finding", "refused"}:
                first = node.args[0]
                named = constants.get(first.id) if isinstance(first, ast.Name) else None
                yield from [str(first.value)] if isinstance(first, ast.Constant) else filter(None, [named])


def constants_of(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in tree.body:
        if isinstance(node, ast.Assign):
            (target,), values = node.targets, node.value
            pairs = (
                zip(target.elts, values.elts, strict=True)
                if isinstance(target, ast.Tuple) and isinstance(values, ast.Tuple)
                else [(target, values)]
            )
            for name, value in pairs:
                if isinstance(name, ast.Name) and isinstance(value, ast.Constant):
                    yield name.id, str(value.value)


def test_every_check_that_is_repeated_is_in_the_list() -> None:
    """All that findings are named after, but for the models, which only the doctor loads."""
    assert set(checks_in_code()) - {"models", "settings"} == set(CHECKS)


def test_a_metric_that_is_not_in_the_list_cannot_be_told() -> None:
    """Nor one of another kind."""
    recorder = Recorder({})
    with pytest.raises(LookupError, match=r"'tagstream_koalas_total' is no counter of .*metrics\.py"):
        recorder.counter("tagstream_koalas_total")
    with pytest.raises(LookupError, match="is no histogram"):
        recorder.histogram("tagstream_uploads_total")
