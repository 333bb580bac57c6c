"""Recording: exact sums, and a number of time series that nobody's input can raise."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.telemetry.metrics import METRICS, OTHER, Kind, Metric
from streams.telemetry.recorder import Histogram, Recorder

NAMED = {
    "partition": ["0", "1", "2", "3"],
    "add_on": ["imagga_tagging", "scene_tagging"],
    "route": ["/images/{public_id}", "/trends/top"],
    "model": ["m"],
    "model_version": ["1"],
    "version": ["0.1.0"],
    "python_version": ["3.11.9"],
}
LABELLED = [metric for metric in METRICS.values() if metric.labels]


@given(st.lists(st.floats(0, 1e6), max_size=50))
def test_a_histogram_counts_each_value_in_its_bucket(values: list[float]) -> None:
    """As Prometheus means it: a bucket holds what is at most its bound."""
    histogram = Histogram((0.01, 1.0, 100.0))
    for value in values:
        histogram.observe(value)
    bounds = [-1.0, 0.01, 1.0, 100.0, math.inf]
    expected = [sum(low < value <= high for value in values) for low, high in itertools.pairwise(bounds)]
    assert histogram.counts == expected
    assert histogram.total == pytest.approx(sum(values))


def test_equal_values_count_as_often_as_they_were() -> None:
    """And a clock that went back makes no negative seconds."""
    histogram = Histogram((1.0,))
    histogram.observe(0.5, times=3)
    histogram.observe(-4.0)
    assert (histogram.counts, histogram.total) == ([4, 0], 1.5)
    assert histogram.exemplars == {}


@pytest.mark.parametrize("metric", LABELLED, ids=lambda metric: metric.name)
def test_no_input_makes_a_time_series(metric: Metric) -> None:
    """Thousands of names of images, users and hosts as label values lead to `other`, and to one series."""
    recorder = Recorder(NAMED)
    guard = recorder.guard(metric.name)
    for number in range(3000):
        hostile = tuple(f"{kind}-{number}" for kind, _ in zip("abcdef", metric.labels, strict=False))
        if metric.kind is Kind.COUNTER:
            recorder.counter(metric.name).add(1, *hostile)
        elif metric.kind is Kind.HISTOGRAM:
            recorder.histogram(metric.name).of(*hostile).observe(1)
        assert guard.closed(hostile) == (OTHER,) * len(metric.labels)
    told = {**recorder.counters, **recorder.histograms}.get(metric.name)
    if told is not None:
        others = told.values.keys() - set(guard.known())
        assert others <= {(OTHER,) * len(metric.labels)}
        assert len(told.values) <= guard.most


def test_all_series_together_are_few() -> None:
    """A worker of 64 partitions, 5 add-ons and 20 routes: a Prometheus takes thousands of such bounds."""
    named = NAMED | {
        "partition": list(map(str, range(64))),
        "add_on": [f"add-on-{n}" for n in range(5)],
        "route": [f"/route/{n}" for n in range(20)],
    }
    recorder = Recorder(named)
    most = sum(
        recorder.guard(name).most * (len(metric.buckets) + 3 if metric.buckets else 1)
        for name, metric in METRICS.items()
        if name != "tagstream_http_requests_total"
    )
    assert most < 1500
    assert recorder.guard("tagstream_http_requests_total").most < 21 * 65


def test_labels_must_be_given() -> None:
    """One too few is a fault of ours, not another series."""
    with pytest.raises(ValueError, match="0 label values"):
        Recorder(NAMED).counter("tagstream_dead_letters_total").add(1)
