"""Records that publishers have sent elsewhere, and what is right for each."""

import orjson
import pytest
from support.sources.samples import SAMPLES, Sample

from schemas.cloudevents import Headers
from schemas.errors import BadEventError
from schemas.uploads import Record, Upload, UploadType, parse_upload

EVENT = {"public_id": "koala", "url": "http://127.0.0.1:6067/koala.jpg"}


def published(value: object, key: bytes | None = b"koala", headers: Headers = ()) -> Record:
    data = value if isinstance(value, bytes) or value is None else orjson.dumps(value)
    return Record(
        topic="image.uploads",
        partition=1,
        offset=7,
        timestamp=1_770_000_000_000,
        key=key,
        value=data,
        headers=headers,
    )


def read(value: object, key: bytes | None = b"koala", headers: Headers = ()) -> Upload:
    return parse_upload(published(value, key, headers))


def refused(value: object) -> str:
    with pytest.raises(BadEventError) as caught:
        read(value)
    return str(caught.value)


def test_a_structured_cloudevent_as_plain_json_deletes_its_own_image() -> None:
    """The SDK for Python sends it as application/json: the image of the data goes, not that of the key."""
    event = {"specversion": "1.0", "id": "e1", "source": "/shop", "type": "image.deleted"}
    sent = event | {"data": {"public_id": "koala"}}
    upload = read(sent, b"album-7", [("content-type", b"application/json")])
    assert (upload.type, upload.public_id, upload.id) == (UploadType.DELETED, "koala", "e1")


def test_headers_with_a_hyphen_are_those_of_a_cloudevent() -> None:
    """Spring's StreamBridge: a deletion deletes, and a repeat has the same identity."""
    headers = [("ce-specversion", b"1.0"), ("ce-source", b"/s"), ("ce-id", b"1")]
    assert read(EVENT, headers=[*headers, ("ce-type", b"image.deleted")]).type is UploadType.DELETED
    sent = [*headers, ("ce-type", b"image.uploaded")]
    first, second = read(EVENT, headers=sent), read(EVENT, headers=sent)
    assert (first.source, first.id) == (second.source, second.id) == ("/s", "1")


def test_envelopes_are_named() -> None:
    """Debezium's outbox as text, and Connect's converter as it comes."""
    assert "a string that holds JSON" in refused(orjson.dumps(orjson.dumps(EVENT).decode()))
    assert "Connect envelope" in refused({"schema": {"type": "struct", "fields": []}, "payload": EVENT})


def test_a_tombstone_is_no_event() -> None:
    """Whoever reads a record asks that first: it is passed over, and no dead letter."""
    assert published(None).is_tombstone
    assert not published(b"").is_tombstone


def test_numbers_as_text_are_taken_everywhere() -> None:
    """As PHP and Ruby send them."""
    upload = read(EVENT | {"version": "1690000000", "auto_tagging": "0.4"})
    assert (upload.data.version, upload.auto_tagging) == (1_690_000_000, 0.4)


def test_a_null_key_names_no_other_image() -> None:
    """The image is that of `public_id`, wherever the record lies."""
    assert read(EVENT | {"public_id": "nokey"}, None).public_id == "nokey"


@pytest.mark.parametrize(
    "sample", [each for each in SAMPLES if each.name.startswith(("sdk-", "spring-"))], ids=str
)
def test_what_sdks_send_is_read_on_the_upload_topic(sample: Sample) -> None:
    """Upload and deletion, their tenant, and the same identity each time."""
    first, second = parse_upload(sample.record()), parse_upload(sample.record(offset=99))
    (wanted,) = sample.becomes
    assert (first.type, first.public_id, first.source, first.id) == (
        wanted["type"],
        wanted["public_id"],
        wanted["source"],
        wanted["id"],
    )
    assert first.data.tenant == wanted.get("tenant")
    assert (first.source, first.id) == (second.source, second.id)
