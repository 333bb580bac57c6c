"""Which notification comes of which record."""

from typing import Any

import msgspec
import pytest

from schemas.dead_letters import Fault, dead_letter
from schemas.results import (
    Categorization,
    Cause,
    ChangedResource,
    Info,
    ModelInfo,
    TagUpdate,
    Timings,
)
from schemas.uploads import Record
from streams.gateway.answers import Addresses
from streams.webhooks.messages.describing import AssetDescription
from streams.webhooks.messages.notifications import Source, notification_of, wanted_urls

AT = 1_764_504_000_000  # 2025-11-30T12:00:00Z
DESCRIPTION = AssetDescription(Addresses.of("https://photos.example"))
ASSET = {"asset_id": "a" * 32, "version": 1_764_504_000, "api_key": "key-1"}


def record(value: bytes, **headers: bytes) -> Record:
    return Record(
        topic="t",
        partition=0,
        offset=7,
        timestamp=AT,
        key=b"koala",
        value=value,
        headers=list(headers.items()),
    )


def categorization(cause: str, asset: dict[str, Any] | None = None, url: str | None = None) -> Record:
    result = Categorization(
        public_id="koala",
        uploaded_at="2025-11-30T12:00:00Z",
        bytes=10,
        width=4,
        height=3,
        format="jpg",
        tags=["koala"],
        info=Info({}),
        model=ModelInfo("m", "1"),
        timings_ms=Timings(0, 0, 0, 0),
        cause=Cause("kafka:t", "1", cause),
        tenant="demo",
        notification_url=url,
    )
    value = msgspec.to_builtins(result) | ({"asset": asset} if asset else {})
    return record(msgspec.json.encode(value), ce_id=b"result-1")


def tag_update(cause: str, asset: dict[str, Any] | None = None, **more: Any) -> Record:  # noqa: ANN401 - fields
    changed = ChangedResource(public_id="koala", added=["bear"], removed=["cat"], updated=[])
    update = TagUpdate(resources=[changed], tags=["bear"], cause=Cause("s", "1", cause), tenant="demo")
    value = msgspec.to_builtins(update) | ({"asset": asset} if asset else {}) | more
    return record(msgspec.json.encode(value))


def test_an_upload_is_told_as_an_upload() -> None:
    """The body has the image as it is now, when that came to be, and an id that is the same each time."""
    told = notification_of(Source.CATEGORIZATION, categorization("image.uploaded", ASSET))
    assert told is not None
    assert (told.kind, told.cloud, told.asset, told.api_key) == ("upload", "demo", "a" * 32, "key-1")
    body = told.body
    assert body["notification_type"] == "upload"
    assert body["timestamp"] == "2025-11-30T12:00:00+00:00"
    assert body["request_id"] == "result-1"
    assert (body["public_id"], body["tags"], body["width"]) == ("koala", ["koala"], 4)


def test_a_rename_is_told_once() -> None:
    """The event of the new name tells it; the one that ends the old name is silent."""
    told = notification_of(
        Source.CATEGORIZATION, categorization("image.uploaded", ASSET | {"renamed_from": "bear"})
    )
    assert told is not None
    assert told.kind == "rename"
    assert (told.body["from_public_id"], told.body["to_public_id"]) == ("bear", "koala")
    gone = tag_update("image.deleted", ASSET | {"renamed_to": "koala"})
    assert notification_of(Source.TAG_UPDATE, gone) is None


def test_a_deletion_is_told_with_its_asset() -> None:
    """A receiver learns which asset is gone, whatever tags it had."""
    told = notification_of(Source.TAG_UPDATE, tag_update("image.deleted", ASSET))
    assert told is not None
    assert told.kind == "delete"
    assert told.body["resources"] == [
        {
            "asset_id": "a" * 32,
            "public_id": "koala",
            "resource_type": "image",
            "type": "upload",
            "version": 1_764_504_000,
        }
    ]


@pytest.mark.parametrize("cause", ["image.update", "image.tags-edited", "image.retag"])
def test_changed_tags_are_told(cause: str) -> None:
    """What came and what went, for each way in which tags change but uploads."""
    told = notification_of(Source.TAG_UPDATE, tag_update(cause))
    assert told is not None
    assert told.kind == "resource_tags_changed"
    assert told.body["resources"][0]["added"] == ["bear"]
    assert told.body["resources"][0]["removed"] == ["cat"]
    assert told.asset == "koala"


def test_the_tags_of_an_upload_are_told_with_it() -> None:
    """An upload leads to one notification, not to two."""
    assert notification_of(Source.TAG_UPDATE, tag_update("image.uploaded")) is None


def test_an_upload_without_add_ons_is_told_too() -> None:
    """Nothing categorizes raw assets, or an image for which nobody asks: its tag-update tells of it."""
    raw = ASSET | {"resource_type": "raw", "public_id": "report.pdf", "bytes": 7, "format": "pdf"}
    update = tag_update("image.uploaded", raw | {"tags": ["bear"]}, categorized=False)
    told = notification_of(Source.TAG_UPDATE, update, DESCRIPTION)
    assert told is not None
    assert told.kind == "upload"
    assert (told.body["public_id"], told.body["resource_type"]) == ("report.pdf", "raw")
    assert (told.body["bytes"], told.body["tags"]) == (7, ["bear"])


def test_a_stored_image_is_told_as_its_upload_was_answered() -> None:
    """With the address where it is served, and what add-ons said."""
    asset = ASSET | {"object": "demo/1", "format": "jpg", "context": {"a": "b"}}
    told = notification_of(Source.CATEGORIZATION, categorization("image.uploaded", asset), DESCRIPTION)
    assert told is not None
    assert told.body["secure_url"] == "https://photos.example/demo/image/upload/v1764504000/koala.jpg"
    assert told.body["context"] == {"custom": {"a": "b"}}
    assert told.body["info"] == {"categorization": {}}
    assert told.body["api_key"] == "key-1"


def test_an_update_that_changes_no_tag_tells_none() -> None:
    """An update of the context alone is no change of tags."""
    same = [{"public_id": "koala", "added": [], "removed": [], "updated": []}]
    update = tag_update("image.update", ASSET, resources=same, categorized=False)
    assert notification_of(Source.TAG_UPDATE, update) is None


def test_what_add_ons_found_later_is_told_to_who_asked() -> None:
    """An update tells what was found where it names an address of its own, and changed tags in any case."""
    assert notification_of(Source.CATEGORIZATION, categorization("image.update")) is None
    told = notification_of(
        Source.CATEGORIZATION, categorization("image.update", url="https://a.example/hook")
    )
    assert told is not None
    assert (told.kind, told.body["info_status"], told.url) == ("info", "complete", "https://a.example/hook")
    assert (
        notification_of(Source.CATEGORIZATION, categorization("image.retag", url="https://a.example/"))
        is None
    )


@pytest.mark.parametrize("structured", [False, True])
def test_a_failure_is_told_to_who_asked(structured: bool) -> None:  # noqa: FBT001 - pytest's parameter
    """A dead letter says why, in plain JSON or as a CloudEvent; without an address nobody is told."""
    event = {"public_id": "koala", "url": "https://a.example/x.jpg", "tenant": "demo"}
    asking = event | {"notification_url": "https://a.example/hook"}
    fault = Fault("http_404", "fetch", False, "SourceGoneError", "status 404")

    def letter(data: dict[str, str]) -> Record:
        cloud = {"specversion": "1.0", "id": "1", "source": "/s", "type": "image.uploaded", "data": data}
        headers = [("content-type", b"application/cloudevents+json")] if structured else []
        sent = record(msgspec.json.encode(cloud if structured else data))
        key, value, said = dead_letter(msgspec.structs.replace(sent, headers=headers), fault)
        return msgspec.structs.replace(sent, key=key, value=value, headers=said)

    told = notification_of(Source.DEAD_LETTER, letter(asking))
    assert told is not None
    assert (told.kind, told.cloud, told.url) == ("error", "demo", "https://a.example/hook")
    assert told.body["error"] == {"message": "status 404", "reason": "http_404"}
    assert told.body["public_id"] == "koala"
    assert notification_of(Source.DEAD_LETTER, letter(event)) is None


@pytest.mark.parametrize("value", [None, b"", b"{", b"[]", b"7", b"\xff", b'{"cause": 1}', b"[" * 100_000])
@pytest.mark.parametrize("source", Source)
def test_what_others_write_to_the_topics_tells_nobody(source: Source, value: bytes | None) -> None:
    """Records that are none of ours stop nothing."""
    sent = record(value or b"")
    assert notification_of(source, msgspec.structs.replace(sent, value=value)) is None


def test_an_events_own_address_wins() -> None:
    """Where the event names no address, those of the cloud are told; each once, and none that is endless."""
    plain = notification_of(Source.CATEGORIZATION, categorization("image.uploaded"))
    own = notification_of(Source.CATEGORIZATION, categorization("image.uploaded", url="https://own.example/"))
    assert plain is not None
    assert own is not None
    assert wanted_urls(plain, ["https://a/", "https://b/", "https://a/"]) == ["https://a/", "https://b/"]
    assert wanted_urls(own, ["https://a/"]) == ["https://own.example/"]
    assert wanted_urls(own._replace(url="https://a/" + "x" * 3000), []) == []
