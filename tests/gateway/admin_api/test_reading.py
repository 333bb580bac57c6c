import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, encode_basic_auth
from support.gateway.rows import AT, asset_row, library_of
from support.web_client import serving
from yarl import URL

from streams.gateway.admin_api.finding import Finder
from streams.gateway.admin_api.reading import Reading
from streams.gateway.admin_api.routes import reading_routes
from streams.gateway.answers import Addresses
from streams.gateway.app import create_gateway
from streams.gateway.calls import Area, Door, vendors_problem
from streams.gateway.rates import Rates
from streams.gateway.requests.credentials_file import CredentialsFile

CREDENTIALS = """
[[cloud]]
name = "demo"
[[cloud.key]]
id = "testkey"
secret = "testsecret"
[[cloud.key]]
id = "writer"
secret = "testsecret"
may = ["write"]
[[cloud.preset]]
name = "phones"
unsigned = true
tags = ["a"]
"""
ROWS = {
    "a/one": asset_row("a/one", tags=["z", "koala", "a b/c"], at=AT - 5000, context={"k": "v", "alt": "1"}),
    "a/two": asset_row("a/two", tags=["koala"], at=AT - 4000, context={"k": "w"}, asset_folder="shoes/red"),
    "b/x, y": asset_row("b/x, y", at=AT - 3000, bytes=5),
    "käfer": asset_row(
        "käfer",
        tags=["own", "koala", "käfer"],
        by=[["own"], ["imagga_tagging"], ["imagga_tagging"]],
        scores={"imagga_tagging": [("koala", 0.9), ("käfer", 0.8), ("tree", 0.2)]},
        at=AT - 2000,
    ),
    "untold": asset_row("untold", told=False, at=AT - 1000),
    "#raw/upload/n.txt": asset_row(
        "n.txt", resource_type="raw", public_id="n.txt", format=None, width=None, height=None, at=AT
    ),
    "#image/private/secret": asset_row("secret", public_id="secret", type="private", at=AT - 9000),
}
JAVASCRIPT = "Sun%20Nov%2029%202026%2021:24:01%20GMT%2B0000%20(Coordinated%20Universal%20Time)"
NEWEST = ["untold", "käfer", "b/x, y", "a/two", "a/one"]


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[ClientSession]:
    """A gateway over these rows, asked with a key that may all."""
    path = tmp_path / "gateway.toml"
    path.write_text(CREDENTIALS)
    path.chmod(0o600)

    def clock() -> float:
        return AT / 1000

    door = Door(CredentialsFile(path, clock), Rates(clock), clock=clock)
    reading = Reading(Finder(library_of(ROWS)), Addresses.of("http://127.0.0.1:6067"), 1000)
    app = create_gateway(door, [Area("/v1_1/", reading_routes(reading), vendors_problem)])
    headers = {"authorization": encode_basic_auth("testkey", "testsecret")}
    async with serving(app) as port, ClientSession(f"http://127.0.0.1:{port}", headers=headers) as session:
        yield session


async def get(client: ClientSession, path: str, status: int = 200, **more: Any) -> Any:  # noqa: ANN401 - JSON
    """Ask, and give the answer."""
    url = URL(f"/v1_1/demo/{path}", encoded=True)
    async with client.request(more.pop("method", "GET"), url, **more) as answer:
        body = await answer.json()
        assert answer.status == status, body
        assert int(answer.headers["x-featureratelimit-remaining"]) > 0
        return body


async def names(client: ClientSession, path: str, **more: Any) -> list[str]:  # noqa: ANN401 - JSON
    """The names of the assets of a list."""
    return [each["public_id"] for each in (await get(client, path, **more))["resources"]]


async def test_ping_and_types(client: ClientSession) -> None:
    """Key and secret are right; there are three types."""
    assert await get(client, "ping?") == {"status": "ok"}
    assert "image" in (await get(client, "resources"))["resource_types"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("resources/image", [*NEWEST, "secret"]),
        ("resources/image/upload", NEWEST),
        ("resources/image/private", ["secret"]),
        ("resources/raw/upload", ["n.txt"]),
        ("resources/video", []),
        ("resources/image/upload?max_results=2", NEWEST[:2]),
        ("resources/image/upload?direction=asc", NEWEST[::-1]),
        ("resources/image/upload?direction=-1", NEWEST),
        ("resources/image/upload?direction=1&start_at=2026-11-29T21:24:02Z", ["b/x, y", "käfer", "untold"]),
        (f"resources/image/upload?start_at={JAVASCRIPT}", ["a/two", "a/one"]),
        ("resources/image/upload?prefix=a/", ["a/two", "a/one"]),
        ("resources/image/upload?prefix=k%C3%A4", ["käfer"]),
        (
            "resources/image/upload?public_ids[]=a/one&public_ids[]=b/x,%20y&public_ids[]=none",
            ["a/one", "b/x, y"],
        ),
        ("resources/image/upload?public_ids[0]=a/one&public_ids[1]=a/one", ["a/one"]),
        ("resources/image/upload?public_ids=a/one,k%C3%A4fer", ["a/one", "käfer"]),
        ("resources/image/tags/koala", ["käfer", "a/two", "a/one"]),
        ("resources/image/tags/a%20b%2Fc", ["a/one"]),
        ("resources/image/tags/a%20b/c", ["a/one"]),
        ("resources/image/tags/none", []),
        ("resources/image/context?key=k", ["a/two", "a/one"]),
        ("resources/image/context?key=k&value=v", ["a/one"]),
        ("resources/by_asset_folder?asset_folder=shoes/red", ["a/two"]),
    ],
)
async def test_lists(client: ClientSession, path: str, expected: list[str]) -> None:
    """Which assets, newest first."""
    assert await names(client, path) == expected


async def test_a_folder_is_counted(client: ClientSession) -> None:
    """The list of an asset folder says how many there are, on whatever page."""
    assert (await get(client, "resources/by_asset_folder?asset_folder=shoes/red"))["total_count"] == 1
    assert "total_count" not in await get(client, "resources/image")


@pytest.mark.parametrize("most", [1, 2, 3])
async def test_pages_of_lists(client: ClientSession, most: int) -> None:
    """Together they are the list; the last has no cursor, and a cursor fits its own list alone."""
    seen, cursor = [], ""
    while True:
        page = await get(client, f"resources/image/upload?max_results={most}&next_cursor={cursor}")
        seen += [each["public_id"] for each in page["resources"]]
        if "next_cursor" not in page:
            break
        cursor = page["next_cursor"]
        wrong = await get(client, f"resources/image/tags/koala?next_cursor={cursor}", status=400)
        assert "next_cursor" in wrong["error"]["message"]
    assert seen == NEWEST


async def test_parameters_in_the_body_of_a_get(client: ClientSession) -> None:
    """Ruby's SDK sends them there, as JSON."""
    body = {"public_ids": ["a/one", "b/x, y"], "tags": True, "max_results": 1}
    assert await names(client, "resources/image/upload", json=body) == ["a/one", "b/x, y"]
    assert await names(client, "resources/image/upload", json={"prefix": "a/", "direction": "asc"}) == [
        "a/one",
        "a/two",
    ]


async def test_what_is_told_in_lists(client: ClientSession) -> None:
    """Tags and context on request, and only where there are any; or some fields alone."""
    plain, more, chosen = [
        (await get(client, f"resources/image/upload?prefix=a/one&{query}"))["resources"][0]
        for query in ("", "tags=true&context=true&metadata=true", "fields=tags,width")
    ]
    assert not {"tags", "context", "metadata"} & plain.keys()
    assert (more["tags"], more["context"]) == (["a b/c", "koala", "z"], {"custom": {"k": "v", "alt": "1"}})
    assert more["metadata"] == {}
    assert chosen.keys() == {"asset_id", "public_id", "folder", "tags", "width"}
    bare = (await get(client, "resources/image/upload?prefix=b/&tags=true&context=true"))["resources"][0]
    assert not {"tags", "context"} & bare.keys()


async def test_one_asset(client: ClientSession) -> None:
    """All of it: what add-ons said, tags in the order of letters, an address that begins with the cloud."""
    asset = await get(client, "resources/image/upload/k%C3%A4fer")
    data = [
        {"tag": tag, "confidence": number} for tag, number in (("koala", 0.9), ("käfer", 0.8), ("tree", 0.2))
    ]
    assert asset["info"] == {"categorization": {"imagga_tagging": {"status": "complete", "data": data}}}
    assert asset["tags"] == ["koala", "käfer", "own"]
    assert (asset["derived"], asset["created_at"]) == ([], "2026-11-29T21:24:03Z")
    assert (
        asset["secure_url"] == f"https://127.0.0.1:6067/demo/image/upload/v{asset['version']}/k%C3%A4fer.jpg"
    )
    assert "context" not in asset
    assert await get(client, f"resources/{asset['asset_id']}") == asset
    more = await get(client, f"resources/{asset['asset_id']}?versions=true&related=true&colors=true")
    assert more == {**asset, "versions": [], "related_assets": []}
    assert await names(client, f"resources/by_asset_ids?asset_ids[]={asset['asset_id']}") == ["käfer"]


async def test_names_with_slashes(client: ClientSession) -> None:
    """They may be escaped or not."""
    for path in ("a/one", "a%2Fone"):
        assert (await get(client, f"resources/image/upload/{path}"))["public_id"] == "a/one"
    assert (await get(client, "resources/image/upload/b/x,%20y"))["bytes"] == 5


async def test_raw_assets_and_untold_ones(client: ClientSession) -> None:
    """A raw one has no pixels and its name is whole; one of another publisher has its source's address."""
    raw = await get(client, "resources/raw/upload/n.txt")
    assert not {"width", "height", "format"} & raw.keys()
    assert raw["url"].endswith(f"/demo/raw/upload/v{raw['version']}/n.txt")
    assert (await get(client, "resources/image/upload/untold"))["url"] == "http://source/untold.jpg"


@pytest.mark.parametrize("path", ["resources/image/upload/none", f"resources/{'0' * 32}"])
async def test_no_such_asset(client: ClientSession, path: str) -> None:
    """404, in words that the SDKs' tests know."""
    body = await get(client, path, status=404)
    assert body["error"]["message"].startswith("Resource not found")


@pytest.mark.parametrize("path", ["resources/search", "resources%2Fsearch"])
async def test_search(client: ClientSession, path: str) -> None:
    """By an expression, with the slash escaped or not."""
    asked = {
        "expression": "tags=koala AND context.k:*",
        "sort_by": [{"public_id": "asc"}],
        "with_field": ["context"],
    }
    body = await get(client, path, method="POST", json=asked)
    assert (body["total_count"], [each["context"]["k"] for each in body["resources"]]) == (2, ["v", "w"])
    assert isinstance(body["time"], int)
    body = await get(client, path, method="POST", json={"expression": "("}, status=400)
    assert "Query parsing failed" in body["error"]["message"]


async def test_tags(client: ClientSession) -> None:
    """In the order of letters, in pages, by prefix."""
    assert await get(client, "tags/image") == {"tags": ["a b/c", "koala", "käfer", "own", "z"]}
    assert await get(client, "tags/image?prefix=k") == {"tags": ["koala", "käfer"]}
    assert await get(client, "tags/image?prefix=none") == {"tags": []}
    page = await get(client, "tags/image?max_results=2")
    assert page["tags"] == ["a b/c", "koala"]
    page = await get(client, f"tags/image?max_results=3&next_cursor={page['next_cursor']}")
    assert page == {"tags": ["käfer", "own", "z"]}


@pytest.mark.parametrize(
    ("path", "day"),
    [("usage", "2026-11-29"), ("usage/2026-11-20", "2026-11-20"), ("usage/20-11-2026", "2026-11-20")],
)
async def test_usage(client: ClientSession, path: str, day: str) -> None:
    """What there is, under the names that SDKs' tests demand."""
    usage = await get(client, path)
    demanded = {"plan", "last_updated", "transformations", "objects", "bandwidth", "storage", "requests"}
    assert demanded | {"resources", "derived_resources", "media_limits"} <= usage.keys()
    assert (usage["resources"], usage["last_updated"], "limit" in usage["bandwidth"]) == (7, day, False)
    assert "yyyy-mm-dd" in (await get(client, "usage/2026-13-01", status=400))["error"]["message"]


async def test_config_folders_presets(client: ClientSession) -> None:
    """The cloud's set-up as far as there is one."""
    config = await get(client, "config")
    assert (config["cloud_name"], "settings" in config) == ("demo", False)
    assert (await get(client, "config?settings=true"))["settings"] == {"folder_mode": "fixed"}
    folders = await get(client, "folders")
    assert [each["path"] for each in folders["folders"]] == ["a", "b", "shoes"]
    assert [each["path"] for each in (await get(client, "folders/shoes"))["folders"]] == ["shoes/red"]
    assert (await get(client, "folders/a"))["folders"] == []
    assert "folder" in (await get(client, "folders/none", status=404))["error"]["message"]
    preset = {"name": "phones", "unsigned": True, "settings": {"tags": "a"}}
    assert await get(client, "upload_presets") == {"presets": [preset]}
    assert await get(client, "upload_presets/phones") == preset
    await get(client, "upload_presets/none", status=404)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("resources/image?max_results=501", 400),
        ("resources/image?max_results=-1", 400),
        ("resources/image?direction=up", 400),
        ("resources/image?start_at=soon", 400),
        ("resources/image?tags=maybe", 400),
        ("resources/image/context", 400),
        ("resources/image/upload?" + "&".join(f"public_ids[]={number}" for number in range(101)), 400),
        ("resources/images", 404),
        ("resources/image/fetch", 404),
        ("transformations", 404),
    ],
)
async def test_what_is_refused(client: ClientSession, path: str, status: int) -> None:
    """In the vendor's form."""
    async with client.get(URL(f"/v1_1/demo/{path}", encoded=True)) as answer:
        assert (answer.status, bool((await answer.json())["error"]["message"])) == (status, True)


async def test_who_may_not_read(client: ClientSession) -> None:
    """A key for other things is told so with 403; nobody is told anything without a key."""
    url = URL("/v1_1/demo/resources/image")
    async with client.get(
        url, headers={"authorization": encode_basic_auth("writer", "testsecret")}
    ) as answer:
        assert (answer.status, "may write" in (await answer.json())["error"]["message"]) == (403, True)
    for authorization in ("", "Basic x", encode_basic_auth("testkey", "no"), "Bearer token"):
        async with client.get(url, headers={"authorization": authorization}) as answer:
            assert answer.status == 401
            assert json.loads(await answer.read())["error"]["message"]
