"""Roots that an operator names: how they are written, what lies in them, and where a bucket is to be had."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import SettingsError
from streams.fetch.errors import SourceGoneError
from streams.fetch.roots import MAX_URL, SourceRoots

BASE = "https://photos.example.com"
ROOTS = SourceRoots.parse(
    f" file:///srv/photos/ , s3://photos={BASE},s3://photos/of/2026={BASE}:8443/new/,"
    f"gs://a_b.c/public=http://minio:9000/a_b.c/public,file:///srv/my%20photos%2C%20new,file://localhost/srv,"
)
BAD = {
    "/srv/photos": "it needs the form",
    "file:/srv/photos": "it needs the form",
    "file:///srv/photos?x": "it needs the form",
    "s3://a@b=https://c": "it needs the form",
    "file:///": "it is the whole file system; name a folder",
    "file://": "it is the whole file system",
    "file:///srv//photos": "each part of a file's path has a name",
    "file:///srv%2Fphotos": "each part of a file's path has a name",
    "file:///srv/../etc": "no part of a path may be . or ..",
    "file:///srv/%2e%2E": "no part of a path may be . or ..",
    "file:///srv/a%00": "or hold a null",
    "file:///srv/100%": "two hexadecimal digits follow a %",
    "file:///srv/\ud800": "it is no text",
    "file://nas/photos": "files have no host",
    "file:///srv/photos=https://a.test": "file:// is no bucket's name",
    "r2://photos": "a bucket needs =http",
    "s3:///photos": "s3:// is no bucket's name",
    "s3://photos=": "a bucket needs =http",
    "s3://photos=ftp://a.test": "a bucket needs =http",
    "s3:///photos=https://a.test": "s3:// is no bucket's name",
    "http://a.test=https://b.test": "http://a.test is no bucket's name",
    "data://a=https://b.test": "data://a is no bucket's name",
    "s3://photos=ftp://user:secret@a.test/": "a bucket needs =http",
    "s3://photos=https://user:secret@a.test/": "credentials in a URL are refused",
    "s3://photos=https://": "the URL names no host",
    "s3://photos=https://a.test:0": "ports go from 1 to 65535",
    "s3://photos=https://a.test:x": "Invalid port",
    "s3://photos=https://a.test/?secret": "cannot end in a query or fragment",
}


def code_of(url: str, roots: SourceRoots = ROOTS) -> str:
    with pytest.raises(SourceGoneError) as caught:
        roots.file_at(url) if url[:5].lower() == "file:" else roots.http_url(url)
    return f"{caught.value.code}: {caught.value}"


@pytest.mark.parametrize("entry", BAD)
def test_a_bad_root_is_refused_with_its_rule(entry: str) -> None:
    """The message names the setting, the entry without secrets, what is wrong with it, and what to write."""
    with pytest.raises(SettingsError) as caught:
        SourceRoots.parse(f"file:///srv/good,{entry}")
    message = str(caught.value)
    assert message.startswith("TAGSTREAM_SOURCE_ROOTS: ")
    assert BAD[entry] in message
    assert message.endswith("write file:///srv/photos or s3://photos=https://photos.example.com")
    assert "secret" not in message


@pytest.mark.parametrize("entries", ["file:///a,file:///%61/", "s3://a/b=https://c,s3://a/b=https://d"])
def test_a_root_is_named_once(entries: str) -> None:
    """Otherwise nobody could say which one counts."""
    with pytest.raises(SettingsError, match=r"^TAGSTREAM_SOURCE_ROOTS names '.*' more than once"):
        SourceRoots.parse(entries)


@pytest.mark.parametrize(
    ("url", "root", "folder", "names"),
    [
        ("file:///srv/photos/a.jpg", "file:///srv/photos", b"/srv/photos", (b"a.jpg",)),
        ("FILE://LOCALHOST/srv/ph%6ftos/a/b%20c", "file:///srv/photos", b"/srv/photos", (b"a", b"b c")),
        ("file:///srv/photos/%FF%3F%23%25", "file:///srv/photos", b"/srv/photos", (b"\xff?#%",)),
        ("file:///srv/photos/Å", "file:///srv/photos", b"/srv/photos", ("Å".encode(),)),
        ("file:///srv/my photos, new/a", "file:///srv/my%20photos%2C%20new", b"/srv/my photos, new", (b"a",)),
        ("file:///srv/photos", "file://localhost/srv", b"/srv", (b"photos",)),
        ("file:///srv/photos-private/a", "file://localhost/srv", b"/srv", (b"photos-private", b"a")),
    ],
)
def test_files(url: str, root: str, folder: bytes, names: tuple[bytes, ...]) -> None:
    """Names are decoded once, and of several roots the nearest counts."""
    file = ROOTS.file_at(url)
    assert (file.url, file.root, file.folder, file.names) == (url, root, folder, names)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("s3://photos/a.jpg", f"{BASE}/a.jpg"),
        ("S3://photos/a/b%2Fc%20d+e;f=%7E", f"{BASE}/a/b%2Fc%20d+e;f=%7E"),
        ("s3://photos//a.jpg", f"{BASE}//a.jpg"),
        ("s3://photos/of/2025/a", f"{BASE}/of/2025/a"),
        ("s3://photos/of/2026/a", f"{BASE}:8443/new/a"),
        ("s3://photos/of/%32026/a%25", f"{BASE}:8443/new/a%25"),
        ("s3://photos/of/20260/a", f"{BASE}/of/20260/a"),
        ("gs://a_b.c/public/x/...y", "http://minio:9000/a_b.c/public/x/...y"),
        ("https://a.test/../x?y#z", "https://a.test/../x?y#z"),
        ("az://photos/a.jpg", "az://photos/a.jpg"),
        ("nonsense", "nonsense"),
    ],
)
def test_objects(url: str, expected: str) -> None:
    """What follows the bucket or its prefix is appended as it is written; of several the longest counts."""
    assert ROOTS.http_url(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "s3://photos-private/a.jpg",
        "s3://photo/a.jpg",
        "s3://PHOTOS/a.jpg",
        "s3://other/photos/a.jpg",
        "gs://a_b.c/public2/a.jpg",
        "gs://a_b.c/public%2Fa.jpg",
        "gs://a_b.c/public",
        "gs://a_b.c",
        "s3:///photos/a.jpg",
        "file:///srv",
        "file:///srvx/a",
        "file:///etc/passwd",
        "file://",
    ],
)
def test_other_folders_and_buckets(url: str) -> None:
    """Whole names are compared; the message names the setting, and says nothing of what is there."""
    message = "lies in none of the folders and buckets that TAGSTREAM_SOURCE_ROOTS names"
    assert code_of(url).startswith("invalid_url: ")
    assert code_of(url).endswith(message)


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        *((path, "no part of a path may be . or ..") for path in (
            "..", "../x", "x/../../y", ".", "./x", "%2e%2e", "%2E./x", ".%2e/x", "..%2fx", "x%2F..%2Fy",
            "x%2f..", "..%5cx", "..\\x", "x\\..\\y", "..;x/y", "..;", ".;/x", "%2e%2e%3bx/y", "%252e%252e/x",
            "%252e%252e%252fx", "x%00", "%00", "x%2500.jpg", "x\0",
        )),
        *((path, "two hexadecimal digits") for path in ("%", "%2", "x%zz", "%u002e%u002e", "%%32%65")),
        *((path, "it needs the form") for path in ("x?y", "x#y", "?", "x" * MAX_URL)),
        *((path, "it is no text") for path in ("\ud800", "x\udcff")),
    ],
)  # fmt: skip
@pytest.mark.parametrize("root", ["file:///srv/photos/", "s3://photos/", "s3://photos/of/2026/"])
def test_ways_up(root: str, path: str, rule: str) -> None:
    """No spelling of a name that leads up or ends early is looked for, in whatever it would lead to."""
    assert code_of(root + path).startswith("invalid_url: ")
    assert rule in code_of(root + path)


@pytest.mark.parametrize("url", ["file://nas/srv/photos/a", "file:///srv/photos//a", "file:///srv/photos/a/",
                                 "file:///srv/photos/", "file:///srv/photos/a%2Fb", "file:/srv/photos/a",
                                 "file:srv/photos/a", "file://user@localhost/srv/photos/a",
                                 "file://localhost:80/srv/photos/a", "file:\\\\srv\\photos\\a"])  # fmt: skip
def test_files_that_could_be_read_differently(url: str) -> None:
    """Neither hosts, nor folders, nor names with slashes in them."""
    assert code_of(url).startswith("invalid_url: ")


@pytest.mark.parametrize("url", ["s3://photos/", "s3://photos//", "s3://photos/of/2026/"])
def test_a_bucket_is_no_object(url: str) -> None:
    """What a bucket lists is not asked for."""
    assert "names a bucket and no object in it" in code_of(url)


TROUBLE = st.lists(
    st.sampled_from([*"/\\.%@:?#;&=+ \t\r\n\0{}|[]é", "..", "%2e", "%2f", "%5c", "%00", "%25", "a", "photos",
                     "//", "http://b.test", "\ud800"]), max_size=12,
).map("".join)  # fmt: skip


@given(st.sampled_from(["s3://photos/", "s3://photos/of/2026/", "s3://", "gs://a_b.c/public/"]), TROUBLE)
def test_any_object_is_below_its_base(root: str, path: str) -> None:
    """Whatever follows, the host is that of the base, and the path is below the base's, once normalized."""
    try:
        mapped = ROOTS.http_url(root + path)
    except SourceGoneError:
        return
    bases = [root.base for root in ROOTS.roots if root.base and mapped.startswith(root.base + "/")]
    assert bases
    try:
        url = httpx.Request("GET", mapped).url
    except (httpx.InvalidURL, ValueError):
        return  # the fetcher refuses it as well
    base = httpx.URL(max(bases, key=len))
    assert (url.raw_host, url.port, url.userinfo, url.query) == (base.raw_host, base.port, b"", b"")
    assert url.path.startswith(base.path.rstrip("/") + "/")


def test_nothing_is_named_by_default() -> None:
    """Neither files nor buckets are fetched then."""
    assert SourceRoots.parse(" , ") == SourceRoots()
    assert code_of("file:///etc/passwd", SourceRoots()) == code_of("file:///etc/passwd")
    assert SourceRoots().http_url("s3://photos/a") == "s3://photos/a"
