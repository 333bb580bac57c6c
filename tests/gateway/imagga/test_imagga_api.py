"""Imagga's API over real HTTP, with the real model and real photos, asked as its users do."""

import base64
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.web_client import serving

from streams.app.assembly import build_tagger
from streams.app.settings import Settings
from streams.cli.file_server import FileServer
from streams.fetch.addresses import AddressPolicy
from streams.fetch.fetcher import Fetcher, FetchLimits
from streams.fetch.object_store import ObjectStore
from streams.fold.rules.applying import Rules
from streams.gateway.app import create_gateway
from streams.gateway.calls import Door
from streams.gateway.imagga.images import KEPT_FOR
from streams.gateway.imagga.imagga_api import ImaggaApi, Room
from streams.gateway.rates import Rates
from streams.gateway.requests.credentials_file import CredentialsFile
from streams.tag.categorizer import Offer
from streams.tag.looking import Looker

PHOTOS = Path(__file__).parents[3] / "streams" / "photos"
KOALA = (PHOTOS / "koala.jpg").read_bytes()
KEY = ("testkey", "testsecret")
CREDENTIALS = """
[[cloud]]
name = "first"
[[cloud.key]]
id = "other"
secret = "othersecret"
[[cloud]]
name = "demo"
[[cloud.key]]
id = "testkey"
secret = "testsecret"
concurrent = 4
[[cloud.key]]
id = "slow"
secret = "slowsecret"
uploads_per_second = 0.001
[[cloud.key]]
id = "reader"
secret = "readersecret"
may = ["read"]
[[cloud.key]]
id = "tagger"
secret = "taggersecret"
may = ["tag"]
"""
LIMITS = FetchLimits(
    max_bytes=2_000_000, max_bytes_in_flight=8_000_000, deadline=5, answer=5, concurrency=4, per_host=4
)


@pytest.fixture(scope="module")
def looker() -> Iterator[Looker]:
    """The models that come along."""
    settings = Settings(threads=1)
    pool, models = build_tagger(settings)
    pool.start()
    yield Looker(pool, Offer(models, settings.default_add_ons), Rules, dict(pool.tag_names))
    pool.stop()


@dataclass
class Imagga:
    """A gateway that answers this API alone, and a client of it."""

    client: httpx.AsyncClient
    objects: ObjectStore

    async def tags(self, method: str = "GET", path: str = "tags", **more: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - httpx options
        """What a call that goes well is told."""
        answer = await self.client.request(method, path, **more)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("application/json")
        told = answer.json()
        assert told["status"] == {"text": "", "type": "success"}
        found: list[dict[str, Any]] = told["result"]["tags"]
        return found


@pytest.fixture
async def imagga(looker: Looker, tmp_path: Path) -> AsyncIterator[Imagga]:
    """One for each test, with the same models."""
    path = tmp_path / "gateway.toml"
    path.write_text(CREDENTIALS)
    path.chmod(0o600)
    door = Door(CredentialsFile(path, lambda: 0.0), Rates())
    objects = ObjectStore.parse(str(tmp_path / "objects"), tmp_path)
    async with Fetcher(AddressPolicy.parse("127.0.0.1"), LIMITS) as fetcher:
        api = ImaggaApi(looker, fetcher, objects, None, Room(2_000_000, 4_000_000))  # type: ignore[arg-type]  # nothing is kept
        async with serving(create_gateway(door, [api.area()])) as port:
            base = f"http://127.0.0.1:{port}/v2/"
            async with httpx.AsyncClient(base_url=base, auth=KEY, trust_env=False, timeout=30) as client:
                yield Imagga(client, objects)


def is_koala(tags: list[dict[str, Any]]) -> bool:
    return bool(tags[0]["confidence"] > 90 and tags[0]["tag"] == {"en": "koala", "de": "Koala"})


async def test_a_url_a_file_and_base64_give_the_same_tags(imagga: Imagga, photos: FileServer) -> None:
    """In two languages, by each way in which clients send an image."""
    place = sorted(PHOTOS.glob("*.jpg")).index(PHOTOS / "koala.jpg")
    asked = {"language": "en,de", "limit": "5", "threshold": "10.0"}
    by_url = await imagga.tags(params={"image_url": photos.url(place), **asked})
    assert is_koala(by_url)
    assert 1 < len(by_url) <= 5
    assert all(each["tag"].keys() == {"en", "de"} and each["confidence"] >= 10 for each in by_url)
    text = base64.b64encode(KOALA).decode()
    ways: list[dict[str, Any]] = [
        {"params": asked, "files": {"image": ("koala.jpg", KOALA)}},
        {"data": asked, "files": {"image": ("koala.jpg", KOALA)}},
        {"params": asked, "data": {"image_base64": text}},
        {"params": asked, "files": {"image_base64": (None, text)}},
    ]
    for way in ways:
        assert await imagga.tags("POST", **way) == by_url


async def test_an_upload_is_asked_about_and_forgotten(imagga: Imagga) -> None:
    """By its id, by its cloud alone, and not after it was deleted."""
    answer = await imagga.client.post("uploads", files={"image": ("koala.jpg", KOALA)})
    upload_id = answer.json()["result"]["upload_id"]
    assert answer.json()["status"]["type"] == "success"
    params = {"image_upload_id": upload_id, "language": "en,de"}
    assert is_koala(await imagga.tags(params=params))
    other = await imagga.client.get("tags", params=params, auth=("other", "othersecret"))
    assert other.status_code == 404
    assert (await imagga.client.delete(f"uploads/{upload_id}")).json() == {
        "status": {"text": "", "type": "success"}
    }
    for again in (
        await imagga.client.get("tags", params=params),
        await imagga.client.delete(f"uploads/{upload_id}"),
    ):
        assert again.status_code == 404
        assert again.json()["status"]["type"] == "error"


async def test_uploads_are_counted(imagga: Imagga) -> None:
    """A key that may upload so often may do so here, too."""
    upload = {"auth": ("slow", "slowsecret"), "files": {"image": ("koala.jpg", KOALA)}}
    answers = [await imagga.client.post("uploads", **upload) for _ in range(11)]  # type: ignore[arg-type]  # httpx options
    assert [each.status_code for each in answers] == [200] * 10 + [429]


async def test_uploads_are_kept_for_a_day(imagga: Imagga, tmp_path: Path) -> None:
    """An older one is not there any more, also where nobody has swept it yet."""
    text = base64.b64encode(KOALA).decode()
    answer = await imagga.client.post("uploads", data={"image_base64": text})
    params = {"image_upload_id": answer.json()["result"]["upload_id"]}
    (stored,) = [path for path in (tmp_path / "objects").rglob("*") if path.is_file()]
    written = stored.stat().st_mtime
    os.utime(stored, (0, written - KEPT_FOR + 60))
    assert await imagga.tags(params=params)
    os.utime(stored, (0, written - KEPT_FOR - 60))
    assert (await imagga.client.get("tags", params=params)).status_code == 404


async def test_general_tags_rise_where_parents_are_not_decreased(imagga: Imagga) -> None:
    """`animal` is at least as likely as `koala`, and is told so where somebody wants it."""
    files = {"image": ("koala.jpg", KOALA)}
    usual = {each["tag"]["en"]: each["confidence"] for each in await imagga.tags("POST", files=files)}
    params = {"decrease_parents": "0"}
    risen = {
        each["tag"]["en"]: each["confidence"]
        for each in await imagga.tags("POST", files=files, params=params)
    }
    assert risen["animal"] >= risen["koala"]
    assert risen["animal"] > usual["animal"]


async def test_a_tagger_is_named_by_the_path(imagga: Imagga) -> None:
    """Each add-on is one, and categorizers lists them with what they can say."""
    listed = (await imagga.client.get("categorizers")).json()["result"]["categorizers"]
    assert {each["id"] for each in listed} == {
        "tagstream",
        "imagga_tagging",
        "object_tagging",
        "scene_tagging",
    }
    scenes = next(each for each in listed if each["id"] == "scene_tagging")
    files = {"image": ("koala.jpg", KOALA)}
    found = await imagga.tags("POST", "tags/scene_tagging", files=files)
    assert {each["tag"]["en"] for each in found} <= set(scenes["labels"])
    assert (await imagga.client.post("tags/abc", files=files)).status_code == 404


async def test_usage_tells_what_was_asked(imagga: Imagga) -> None:
    """Calls, and those of them that led to tags; also with an empty query, as Go's client asks."""
    await imagga.tags("POST", files={"image": ("koala.jpg", KOALA)})
    await imagga.client.get("tags")
    told = (await imagga.client.get("usage?")).json()["result"]
    assert (told["monthly_requests"], told["monthly_processed"], told["daily_requests"]) == (2, 1, 2)
    assert set(told["daily"].values()) == {2}
    assert told["concurrency"] == {"max": 4, "now": 0}


@pytest.mark.parametrize(
    ("call", "status", "message"),
    [
        ({"params": {"image_url": "http://169.254.169.254/x.jpg"}}, 400, "is refused"),
        ({"params": {"image_url": "http://10.0.0.1/x.jpg"}}, 400, "is refused"),
        ({"params": {"image_url": "file:///etc/passwd"}}, 400, "no http or https URL"),
        ({"params": {"image_url": "store:///demo/x"}}, 400, "no http or https URL"),
        ({"params": {"image_url": "http://127.0.0.1:1/x.jpg"}}, 400, "cannot be loaded"),
        ({"method": "POST", "files": {"image": ("x.jpg", b"no image")}}, 400, "cannot be read"),
        ({"method": "POST", "files": {"image": ("x.jpg", b"")}}, 400, "empty"),
        ({"method": "POST", "files": {"image": ("x.jpg", b"x" * 2_000_001)}}, 400, "too large"),
        ({"method": "POST", "files": {"picture": ("x.jpg", b"x")}}, 400, ""),
        ({"method": "POST", "data": {"image_base64": "%%%"}}, 400, "base64"),
        ({"params": {"image_upload_id": "../../etc/passwd"}}, 404, "no upload"),
        ({"params": {"image_upload_id": "f" * 32}}, 404, "no upload"),
        ({"auth": ("testkey", "wrong")}, 401, "Invalid API key or secret"),
        ({"auth": ("nobody", "testsecret")}, 401, "Invalid API key or secret"),
        ({"auth": ("reader", "readersecret")}, 403, "needs a key that may tag"),
        ({"method": "PUT"}, 404, "use GET or POST"),
        ({"path": "nowhere"}, 404, "no such path"),
    ],
)
async def test_refusals_come_in_imaggas_form(
    imagga: Imagga, call: dict[str, Any], status: int, message: str
) -> None:
    """JSON with a status of type error and the reason in words, so that clients tell it."""
    given = {"method": "GET", "path": "tags", **call}
    answer = await imagga.client.request(given.pop("method"), given.pop("path"), **given)
    assert answer.status_code == status, answer.text
    told = answer.json()["status"]
    assert told["type"] == "error"
    assert message in told["text"]
    assert answer.headers["content-type"].startswith("application/json")


async def test_without_a_key_nobody_is_answered(imagga: Imagga) -> None:
    """A call without credentials learns how to send them."""
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"{imagga.client.base_url}usage")
    assert answer.status_code == 401
    assert "Basic" in answer.json()["status"]["text"]


async def test_keeping_needs_the_right_to_write(imagga: Imagga) -> None:
    """A key that may only ask for tags makes no assets."""
    files, auth = {"image": ("koala.jpg", KOALA)}, ("tagger", "taggersecret")
    answer = await imagga.client.post("tags", files=files, params={"keep": "1"}, auth=auth)
    assert answer.status_code == 403
    assert (await imagga.client.post("tags", files=files, auth=auth)).status_code == 200
