"""Golden samples: messages as vendors and SDKs send them, and what becomes of each."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.sources.samples import SAMPLES, Sample, topic_mapping

from schemas.errors import PARSE_CODES, BadEventError
from schemas.sources.changes import Skipped
from schemas.sources.mapping import READERS
from schemas.sources.translate import Made, Translated, Translator
from schemas.uploads import Record, parse_upload

ORIGINS = (SAMPLES[0].path.parents[1] / "ORIGINS.md").read_text("utf-8")


def told(made: Made, record: Record) -> dict[str, Any]:
    """What was made, in the words of the samples."""
    if isinstance(made, Skipped):
        return {"skipped": made.reason}
    if isinstance(made, BadEventError):
        assert made.code in PARSE_CODES
        return {"refused": str(made)}
    upload = parse_upload(
        Record(
            topic=record.topic,
            partition=0,
            offset=0,
            timestamp=record.timestamp,
            key=None,
            value=made.value,
            headers=made.headers,
        )
    )
    fields = orjson.loads(made.value)
    about = {"type": upload.type.value, "time": fields.get("uploaded_at"), "id": upload.id}
    return fields | about | {"public_id": upload.public_id, "source": upload.source}


def fits(found: dict[str, Any], wanted: dict[str, Any]) -> bool:
    if name := next((name for name in ("skipped", "refused") if name in wanted), None):
        return wanted[name] in found.get(name, "")
    return all(found.get(field) == value for field, value in wanted.items())


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_sample(sample: Sample) -> None:
    """Each message becomes the upload events, the silence or the dead letter that it says."""
    record = sample.record()
    found = [told(made, record) for made in Translator(sample.mapping).translate(record)]
    assert len(found) == len(sample.becomes), found
    for one, wanted in zip(found, sample.becomes, strict=True):
        assert fits(one, wanted), one


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_a_delivery_of_the_same_is_the_same_event(sample: Sample) -> None:
    """Who delivers at least once repeats the id: where a message has one, the place does not matter."""
    events = [
        [
            (made.value, made.headers)
            for made in Translator(sample.mapping).translate(record)
            if is_named(made)
        ]
        for record in (sample.record(), sample.record(offset=99))
    ]
    assert events[0] == events[1]


def is_named(made: Made) -> bool:
    return isinstance(made, Translated) and bool(made.headers)


def test_every_source_has_samples_with_their_origin() -> None:
    """At least 40 in all, one or more for each kind of source, each named beside where its form is from."""
    assert len(SAMPLES) >= 40
    assert {sample.mapping.source for sample in SAMPLES} == set(READERS)
    assert [sample.name for sample in SAMPLES if f"`{sample.name}`" not in ORIGINS] == []


def named(name: str) -> Sample:
    return next(sample for sample in SAMPLES if sample.name == name)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
MAPPINGS = {
    source: topic_mapping({"source": source})
    if source != "debezium"
    else topic_mapping({"source": source, "public_id": "{id}", "url": "{url}"})
    for source in READERS
}


def mutated(value: Any, replacement: Any, at: int) -> Any:  # noqa: ANN401 - JSON
    """A JSON value with one of its parts replaced."""
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:  # noqa: ANN401 - JSON
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, child in items:
            places.append((node, key))
            walk(child)

    copy = [orjson.loads(orjson.dumps(value))]
    walk(copy)
    node, key = places[at % len(places)]
    node[key] = replacement
    return copy[0]


def check_made(made: list[Made], record: Record) -> None:
    for one in made:
        told(one, record)


@settings(max_examples=300)
@given(st.sampled_from(SAMPLES), json_values, st.integers(0, 200))
@example(named("debezium-delete-by-key"), [None], 1)  # a row that is a list
@example(named("debezium-truncate"), [], 130)  # a kind of change that is a list
def test_no_broken_sample_ends_in_an_unhandled_error(sample: Sample, value: object, at: int) -> None:
    """With any part of it replaced by anything, a message is events, a reason, or an error with a code."""
    if sample.content is None:
        return
    changed = mutated(sample.content, value, at)
    record = sample.record(value=json.dumps(changed).encode())
    check_made(Translator(sample.mapping).translate(record), record)


@settings(max_examples=200)
@given(
    st.sampled_from(sorted(READERS)),
    st.none() | st.binary(max_size=60) | st.binary(max_size=20).map(lambda data: b"\0\0\0\0\1{" + data),
    st.none() | st.binary(max_size=20),
    st.lists(
        st.tuples(st.sampled_from(["ce_type", "ce-id", "content-type", "id", "x"]), st.binary(max_size=9))
    ),
)
def test_no_bytes_end_in_an_unhandled_error(
    source: str, value: bytes | None, key: bytes | None, headers: list[tuple[str, bytes]]
) -> None:
    """Any bytes, keys and headers: the same."""
    fields = {"topic": "t", "partition": 0, "offset": 0, "timestamp": 1_770_000_000_000}
    record = Record(value=value, key=key, headers=headers, **fields)  # type: ignore[arg-type]
    check_made(Translator(MAPPINGS[source]).translate(record), record)
