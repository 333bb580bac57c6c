"""Events that are ahead of their images: what is asked for again, and for how long."""

import ipaddress
import time
from collections.abc import AsyncIterator

import msgspec
import pytest
from support.fakes import record
from support.photo_server import PhotoServer, says

from schemas.results import ModelInfo
from schemas.uploads import UploadData
from streams.fetch.addresses import AddressPolicy
from streams.fetch.fetcher import Fetcher, FetchLimits
from streams.fold.outcomes import Deferred, Outcome, Rejected, Tagged
from streams.tag.categorizer import Categorizer, Offer
from streams.tag.stub import StubTagger
from streams.units.order import Turn

OFFER = Offer({"imagga_tagging": ModelInfo("stub", "1")}, ("imagga_tagging",))
LOOPBACK = AddressPolicy(networks=(ipaddress.ip_network("127.0.0.0/8"),))
LIMITS = FetchLimits(
    max_bytes=1_000_000, max_bytes_in_flight=4_000_000, deadline=5.0, answer=5.0, concurrency=8, per_host=4
)


@pytest.fixture
async def server() -> AsyncIterator[PhotoServer]:
    async with PhotoServer() as started:
        yield started


async def _predecessors() -> None:
    """Every record before is folded in."""


async def outcome(url: str, *, age: float, missing_for: float = 5.0) -> Outcome:
    """What becomes of an upload that was published so many seconds ago."""
    value = msgspec.json.encode(UploadData(public_id="img", url=url))
    published = record(value=value, timestamp=int((time.time() - age) * 1000))
    async with Fetcher(LOOPBACK, LIMITS) as fetcher:
        categorizer = Categorizer(fetcher, StubTagger(), OFFER, missing_for=missing_for)
        return await categorizer.outcome(published, {"images": {}}, _predecessors, Turn())


async def test_a_404_of_a_new_upload_is_asked_again(server: PhotoServer) -> None:
    """For as long as the setting says; the event of an hour ago, and of the far future, has no image."""
    server.scripts["/new"] = says("404 Not Found")
    early = await outcome(server.url("/new"), age=1)
    assert isinstance(early, Deferred)
    assert (early.fault.reason, early.fault.retryable) == ("http_404", True)
    for age, missing_for in ((3600, 5.0), (-3600, 5.0), (1, 0.0)):
        late = await outcome(server.url("/new"), age=age, missing_for=missing_for)
        assert isinstance(late, Rejected)
        assert late.fault.reason == "http_404"
    server.scripts["/new"] = says("200 OK", body=b'{"koala": 0.9}')
    assert isinstance(await outcome(server.url("/new"), age=1), Tagged)


async def test_a_404_of_a_re_tag_is_final(server: PhotoServer) -> None:
    """Its image was there before, and whoever asked for the re-tag is told at once that it is gone."""
    server.scripts["/gone"] = says("404 Not Found")
    value = msgspec.json.encode({"type": "image.retag", "public_id": "img", "retag": "image"})
    row = {"o": 0, "url": server.url("/gone"), "scores": {"imagga_tagging": []}, "cause": ["s", "e", "t"]}
    row |= {"at": 0, "user": None, "tags": [], "model": ["stub", "1"], "asked": None, "rules": "r"}
    rows = {"images": {"img": msgspec.json.encode(row)}}
    published = record(value=value, timestamp=int(time.time() * 1000))
    async with Fetcher(LOOPBACK, LIMITS) as fetcher:
        categorizer = Categorizer(fetcher, StubTagger(), OFFER, missing_for=5.0)
        outcome = await categorizer.outcome(published, rows, _predecessors, Turn())
    assert isinstance(outcome, Rejected)
    assert outcome.fault.reason == "http_404"


@pytest.mark.parametrize("status", ["202 Accepted", "423 Locked", "425 Too Early"])
async def test_an_image_that_is_being_made_is_asked_again(server: PhotoServer, status: str) -> None:
    """As of any busy source, whatever the event's age."""
    server.scripts["/made"] = says(status)
    assert isinstance(await outcome(server.url("/made"), age=3600), Deferred)


async def test_white_space_around_a_url_is_taken_off(server: PhotoServer) -> None:
    """As browsers do, also line breaks within."""
    server.scripts["/a.jpg"] = says("200 OK", body=b'{"koala": 0.9}')
    for url in (f" {server.url('/a.jpg')}\r\n", server.url("/a.\n\tjpg"), "\n data:,%7B%22koala%22:0.9%7D "):
        assert isinstance(await outcome(url, age=1), Tagged), url
