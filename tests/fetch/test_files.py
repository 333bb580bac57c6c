"""Files and buckets through the fetcher: what lies in a root is fetched, and nothing leads out of it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import sys
import threading
import time
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.photo_server import PHOTOS, PhotoServer, says

from streams.fetch import files
from streams.fetch.addresses import AddressPolicy
from streams.fetch.circuit_breakers import OPENS_AFTER
from streams.fetch.errors import SourceBusyError, SourceError, SourceGoneError
from streams.fetch.fetcher import Fetcher, FetchLimits
from streams.fetch.roots import SourceRoots

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMITS = FetchLimits(
    max_bytes=1000, max_bytes_in_flight=4000, deadline=5, answer=5, concurrency=8, per_host=2
)
HASTY = FetchLimits(
    max_bytes=1000, max_bytes_in_flight=4000, deadline=0.2, answer=5, concurrency=8, per_host=2
)
NOBODY = AddressPolicy()
LOOPBACK = AddressPolicy.parse("127.0.0.1")
GONE, BUSY = SourceGoneError, SourceBusyError
INSIDE = {b"a", b"b", b"odd", b"not UTF-8", b"x" * 1000}


class Tree:
    """A root `photos` with all sorts of things in it, and secrets beside it."""

    def __init__(self, path: Path) -> None:
        self.photos = path / "photos"
        (self.photos / "deep" / "er").mkdir(parents=True)
        (self.photos / "a.jpg").write_bytes(b"a")
        (self.photos / "deep" / "er" / "b.jpg").write_bytes(b"b")
        (self.photos / "odd ?#%,é\n.jpg").write_bytes(b"odd")
        (self.photos / os.fsdecode(b"\xff\xfe.jpg")).write_bytes(b"not UTF-8")
        (self.photos / "largest.jpg").write_bytes(b"x" * 1000)
        (self.photos / "large.jpg").write_bytes(b"x" * 1001)
        (self.photos / "link.jpg").symlink_to("a.jpg")
        (self.photos / "out.jpg").symlink_to("../secret.jpg")
        (self.photos / "out").symlink_to("../photos-private")
        (self.photos / "deep" / "up").symlink_to("..")
        (self.photos / "loop").symlink_to("loop")
        (self.photos / "dangling.jpg").symlink_to("nothing.jpg")
        os.mkfifo(self.photos / "pipe.jpg")
        with socket.socket(socket.AF_UNIX) as unix:
            os.chdir(self.photos)  # the path of a socket may not be long
            unix.bind("socket.jpg")
        (path / "secret.jpg").write_bytes(b"secret")
        (path / "photos-private").mkdir()
        (path / "photos-private" / "secret.jpg").write_bytes(b"secret")
        self.url = "file://" + urllib.parse.quote(str(self.photos))
        self.roots = SourceRoots.parse(self.url)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    monkeypatch.chdir(tmp_path)  # the socket changes the folder
    return Tree(tmp_path)


async def fault_of(url: str, roots: SourceRoots, policy: AddressPolicy = NOBODY) -> SourceError:
    async with Fetcher(policy, LIMITS, roots) as fetcher:
        with pytest.raises(SourceError) as caught:
            await fetcher.fetch(url)
    assert fetcher.budget.used == 0
    assert len(str(caught.value)) < 700
    assert str(caught.value).isprintable()
    return caught.value


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("a.jpg", b"a"),
        ("%61%2ejpg", b"a"),
        ("deep/er/b.jpg", b"b"),
        ("odd%20%3F%23%25,%C3%A9%0A.jpg", b"odd"),
        ("odd %3f%23%25%2cé\n.jpg", b"odd"),
        ("%FF%FE.jpg", b"not UTF-8"),
        ("largest.jpg", b"x" * 1000),
    ],
)
async def test_files_of_a_root(tree: Tree, path: str, data: bytes) -> None:
    """Any name that a file may have is read; its memory is held until it is released."""
    async with Fetcher(NOBODY, LIMITS, tree.roots) as fetcher:
        with await fetcher.fetch(f"{tree.url}/{path}") as fetched:
            assert (fetched.data, fetcher.budget.used) == (data, len(data))
        assert fetcher.budget.used == 0
        localhost = f"{tree.url}/{path}".replace("file://", "FILE://LocalHost")
        assert (await fetcher.fetch(localhost)).data == data


HOSTILE = {
    "nothing.jpg": (GONE, "unreadable_file"),
    "deep/nothing/b.jpg": (GONE, "unreadable_file"),
    "a.jpg/b.jpg": (GONE, "unreadable_file"),
    "link.jpg": (GONE, "unreadable_file"),
    "out.jpg": (GONE, "unreadable_file"),
    "out": (GONE, "unreadable_file"),
    "out/secret.jpg": (GONE, "unreadable_file"),
    "deep/up/a.jpg": (GONE, "unreadable_file"),
    "loop": (GONE, "unreadable_file"),
    "loop/a.jpg": (GONE, "unreadable_file"),
    "dangling.jpg": (GONE, "unreadable_file"),
    "pipe.jpg": (GONE, "unreadable_file"),
    "socket.jpg": (GONE, "unreadable_file"),
    "deep": (GONE, "unreadable_file"),
    "n" * 256: (GONE, "unreadable_file"),
    "n" * 255: (GONE, "unreadable_file"),
    "deep/" * 2000 + "a.jpg": (GONE, "unreadable_file"),
    "large.jpg": (GONE, "image_too_large"),
    "": (GONE, "invalid_url"),
    "deep/": (GONE, "invalid_url"),
    "../secret.jpg": (GONE, "invalid_url"),
    "deep/../../secret.jpg": (GONE, "invalid_url"),
    "deep/../a.jpg": (GONE, "invalid_url"),
    "%2e%2e/secret.jpg": (GONE, "invalid_url"),
    "..%2fsecret.jpg": (GONE, "invalid_url"),
    "%2e%2e%2Fsecret.jpg": (GONE, "invalid_url"),
    "%252e%252e/secret.jpg": (GONE, "invalid_url"),
    "deep%2Fer%2Fb.jpg": (GONE, "invalid_url"),
    "/secret.jpg": (GONE, "invalid_url"),
    "a.jpg%00": (GONE, "invalid_url"),
    "a.jpg\0.png": (GONE, "invalid_url"),
    "a.jpg?x": (GONE, "invalid_url"),
    "a.jpg#x": (GONE, "invalid_url"),
    "\udcff\udcfe.jpg": (GONE, "invalid_url"),
    "n" * 100_000: (GONE, "invalid_url"),
}


@pytest.mark.parametrize("path", HOSTILE, ids=lambda path: ascii(path[:40]))
async def test_hostile_files(tree: Tree, path: str) -> None:
    """Neither names nor links lead out of a root or to another file; pipes and folders are not read."""
    fault = await fault_of(f"{tree.url}/{path}", tree.roots)
    assert (type(fault), fault.code) == HOSTILE[path]
    assert "secret" not in str(fault) or "secret" in path


async def test_a_device_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """To open one may do something: a tape rewinds, a watchdog wakes."""
    opened: list[object] = []
    really = os.open

    def noted(path: bytes, flags: int, **rest: int) -> int:
        opened.append(path)
        return really(path, flags, **rest)

    monkeypatch.setattr(os, "open", noted)
    fault = await fault_of("file:///dev/null", SourceRoots.parse("file:///dev"))
    assert (fault.code, opened) == ("unreadable_file", [b"/dev"])


async def test_what_is_outside_cannot_be_probed(tree: Tree) -> None:
    """Whether a file outside is there, may be read or is a folder makes no difference."""
    outside = tree.url.removesuffix("photos")
    names = (
        "secret.jpg",
        "nothing.jpg",
        "photos-private",
        "photos-private/secret.jpg",
        "photos",
        "photos2/x",
    )
    faults = [await fault_of(outside + name, tree.roots) for name in names]
    assert {fault.code for fault in faults} == {"invalid_url"}
    assert len({str(fault).replace(name, "") for fault, name in zip(faults, names, strict=True)}) == 1


async def test_the_operators_own_path_may_lead_through_links(tree: Tree, tmp_path: Path) -> None:
    """A root is what the operator says it is, also below another one."""
    roots = SourceRoots.parse(f"file://{tmp_path},{tree.url}/deep/up")
    async with Fetcher(NOBODY, LIMITS, roots) as fetcher:
        assert (await fetcher.fetch(f"{tree.url}/deep/up/a.jpg")).data == b"a"
        assert (await fetcher.fetch(f"file://{tmp_path}/secret.jpg")).data == b"secret"


async def test_a_root_that_is_not_there_may_be_mounted_later(tree: Tree) -> None:
    """It is no fault of the event: it waits, and comes through once the root is there."""
    roots = SourceRoots.parse(f"{tree.url}/later")
    fault = await fault_of(f"{tree.url}/later/a.jpg", roots)
    assert (type(fault), fault.code) == (BUSY, "connection_failed")
    assert "which TAGSTREAM_SOURCE_ROOTS names, cannot be opened: No such file" in str(fault)
    (tree.photos / "later").mkdir()
    (tree.photos / "later" / "a.jpg").write_bytes(b"now")
    async with Fetcher(NOBODY, LIMITS, roots) as fetcher:
        assert (await fetcher.fetch(f"{tree.url}/later/a.jpg")).data == b"now"


@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [
        *((number, GONE, "unreadable_file") for number in (errno.EACCES, errno.EPERM, errno.ENXIO)),
        *(
            (number, BUSY, "connection_failed")
            for number in (
                errno.EIO,
                errno.ESTALE,
                errno.EMFILE,
                errno.ENFILE,
                errno.ETIMEDOUT,
                errno.ENOTCONN,
            )
        ),
    ],
    ids=lambda value: errno.errorcode.get(value, "") if isinstance(value, int) else str(value),
)
async def test_faults_of_the_file_system(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[SourceError], code: str
) -> None:
    """What may pass is tried again; what somebody must change first is not."""
    really = os.open

    def fails(path: bytes, flags: int, **rest: int) -> int:
        if path == b"a.jpg":
            raise OSError(number, os.strerror(number))
        return really(path, flags, **rest)

    monkeypatch.setattr(os, "open", fails)
    fault = await fault_of(f"{tree.url}/a.jpg", tree.roots)
    assert (type(fault), fault.code) == (kind, code)
    assert os.strerror(number) in str(fault)


@pytest.mark.parametrize("content", [b"", b"a longer one"])
async def test_a_file_that_changes_is_read_again_later(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    """No more is read than there is room for, and nothing half of which is of before."""
    sized = files._size

    def size_then_change(file: object) -> int:
        size = sized(file)  # type: ignore[arg-type]
        (tree.photos / "a.jpg").write_bytes(content)
        return size

    monkeypatch.setattr(files, "_size", size_then_change)
    fault = await fault_of(f"{tree.url}/a.jpg", tree.roots)
    assert (type(fault), fault.code) == (BUSY, "connection_failed")
    assert "changed while it was read" in str(fault)


@pytest.mark.parametrize("replacement", ["../secret.jpg", None])
async def test_a_file_that_is_replaced_meanwhile_leads_nowhere_else(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, replacement: str | None
) -> None:
    """Neither a link nor a pipe in its place is followed or waited for."""
    really = os.open

    def replace(path: bytes, flags: int, **rest: int) -> int:
        if path == b"a.jpg":
            (tree.photos / "a.jpg").unlink()
            if replacement:
                (tree.photos / "a.jpg").symlink_to(replacement)
            else:
                os.mkfifo(tree.photos / "a.jpg")
        return really(path, flags, **rest)

    monkeypatch.setattr(os, "open", replace)
    fault = await fault_of(f"{tree.url}/a.jpg", tree.roots)
    assert (type(fault), fault.code) == (GONE, "unreadable_file")


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[threading.Event]]:
    """Files called `stuck` are not read until the test lets them; return who waits."""
    waiting: list[threading.Event] = []
    sized = files._size

    def hangs(file: files.RootedFile) -> int:
        if file.names[-1] == b"stuck":
            waiting.append(threading.Event())
            assert waiting[-1].wait(30)
            raise OSError(errno.EIO, "Input/output error")
        return sized(file)

    monkeypatch.setattr(files, "_size", hangs)
    yield waiting
    for event in waiting:
        event.set()


async def test_a_root_that_never_answers_holds_up_nobody_else(
    tree: Tree, stuck: list[threading.Event]
) -> None:
    """The deadline holds, threads have a bound, other roots go on; then it is left alone for a while."""
    roots = SourceRoots.parse(f"{tree.url},{tree.url}/deep")
    async with Fetcher(NOBODY, HASTY, roots) as fetcher:
        started = time.perf_counter()
        outcomes = await asyncio.gather(
            *(fetcher.fetch(f"{tree.url}/{number}/stuck") for number in range(20)), return_exceptions=True
        )
        assert time.perf_counter() - started < 4
        codes = [outcome.code for outcome in outcomes if isinstance(outcome, SourceBusyError)]
        assert len(codes) == 20
        assert codes[: OPENS_AFTER - 1] == ["timeout"] * (OPENS_AFTER - 1)
        assert len(stuck) <= 2 * HASTY.per_host
        assert (await fetcher.fetch(f"{tree.url}/deep/er/b.jpg")).data == b"b"
        assert fetcher.circuit_breakers.open_hosts == [tree.url]
        assert await asyncio.to_thread(threading.active_count) > len(stuck)
        assert fetcher.budget.used == 1


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_nothing_stays_open(tree: Tree) -> None:
    """Whatever a file is, its descriptors are closed."""
    async with Fetcher(NOBODY, LIMITS, tree.roots) as fetcher:
        await fetcher.fetch(f"{tree.url}/a.jpg")
        before = open_descriptors()
        for path in ["a.jpg", *HOSTILE] * 3:
            with contextlib.suppress(SourceError):
                (await fetcher.fetch(f"{tree.url}/{path}")).release()
        assert open_descriptors() == before


NAMES = st.sampled_from(
    ["/", "//", "..", ".", "%2e", "%2e%2e", "%2f", "%5c", "\\", "%00", "\0", "%25", "%", "?", "#", ";", "@",
     "%FF", "a.jpg", "%61.jpg", "link.jpg", "out.jpg", "out", "deep", "er", "b.jpg", "up", "pipe.jpg", "loop",
     "photos", "photos-private", "secret.jpg", "etc", "passwd", "localhost", "largest.jpg", "large.jpg", "é",
     "\ud800", " "]
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(st.lists(NAMES, max_size=8).map("".join), st.lists(NAMES, max_size=8).map("/".join), st.text()),
    st.sampled_from(["", "/", "/deep/", "/../"]),
    st.booleans(),
)
def test_no_url_leads_out_of_a_root(tree: Tree, path: str, start: str, rooted: bool) -> None:  # noqa: FBT001 - a case
    """Whatever a URL is, a file of the root comes out, or a source's fault with a message fit for logs."""

    async def attempt() -> bytes | SourceError:
        async with Fetcher(NOBODY, LIMITS, tree.roots) as fetcher:
            try:
                return (await fetcher.fetch((tree.url + start if rooted else "file:") + path)).data
            except SourceError as error:
                return error

    outcome = asyncio.run(attempt())
    if isinstance(outcome, bytes):
        assert outcome in INSIDE
    else:
        assert len(str(outcome)) < 700
        assert str(outcome).isprintable()


async def test_objects_of_a_bucket() -> None:
    """They are fetched from where the bucket is to be had, under names that are sent as they are written."""
    async with PhotoServer() as server:
        server.scripts["/of/a%2Fb%20c+d"] = says("200 OK", body=b"object")
        roots = SourceRoots.parse(f"s3://photos={server.url('/of/')},gs://samples={server.url('')}")
        limits = FetchLimits(10**6, 4 * 10**6, deadline=5, answer=5, concurrency=8, per_host=2)
        async with Fetcher(LOOPBACK, limits, roots) as fetcher:
            assert (await fetcher.fetch("s3://photos/a%2Fb%20c+d")).data == b"object"
            koala = (await fetcher.fetch("GS://samples/koala.jpg")).data
            assert koala == (PHOTOS / "koala.jpg").read_bytes()
            with pytest.raises(SourceGoneError) as caught:
                await fetcher.fetch("s3://photos/koala.jpg")
        assert caught.value.code == "http_404"
        assert server.targets == ["/of/a%2Fb%20c+d", "/koala.jpg", "/of/koala.jpg"]


async def test_a_bucket_has_the_address_policy_of_all() -> None:
    """A private endpoint is named in TAGSTREAM_ALLOW_SOURCES as well; nothing is asked before."""
    async with PhotoServer() as server:
        roots = SourceRoots.parse(f"s3://photos={server.url('')}")
        assert (await fault_of("s3://photos/koala.jpg", roots)).code == "refused_address"
        assert server.targets == []


@pytest.mark.parametrize(
    "location", ["file:///{photos}/a.jpg", "s3://photos/koala.jpg", "S3://photos/koala.jpg"]
)
async def test_no_redirect_leads_into_a_root(tree: Tree, location: str) -> None:
    """Roots are for those who publish events, not for servers."""
    async with PhotoServer() as server:
        server.scripts["/x"] = says("302 Found", "location: " + location.format(photos=str(tree.photos)[1:]))
        roots = SourceRoots.parse(f"{tree.url},s3://photos={server.url('')}")
        fault = await fault_of(server.url("/x"), roots, LOOPBACK)
        assert (type(fault), fault.code) == (GONE, "invalid_url")
        assert server.targets == ["/x"]


@pytest.mark.parametrize(
    "url", ["s3://other/a.jpg", "az://photos/a.jpg", "file:///etc/passwd", "s3://photos/../a"]
)
async def test_what_no_root_holds_is_refused_with_the_cure(url: str) -> None:
    """Whoever reads the dead letter learns which setting to change."""
    roots = SourceRoots.parse("s3://photos=https://photos.example.com")
    fault = await fault_of(url, roots)
    assert (type(fault), fault.code) == (GONE, "invalid_url")
    assert "TAGSTREAM_SOURCE_ROOTS" in str(fault) or ".." in url


STUCK_PROCESS = """
import asyncio, sys, threading
from streams.fetch import files
from streams.fetch.addresses import AddressPolicy
from streams.fetch.errors import SourceBusyError
from streams.fetch.fetcher import Fetcher, FetchLimits
from streams.fetch.roots import SourceRoots
files._size = lambda _: threading.Event().wait()
async def main():
    limits = FetchLimits(10, 20, 0.05, 1, 1, 1)
    async with Fetcher(AddressPolicy(), limits, SourceRoots.parse("file:///tmp")) as fetcher:
        try:
            await fetcher.fetch("file:///tmp/a.jpg")
        except SourceBusyError as error:
            print(error.code)
asyncio.run(main())
"""


async def test_a_process_ends_beside_a_read_that_does_not() -> None:
    """A worker that is told to stop does not wait for a file server."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STUCK_PROCESS, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert (process.returncode, output) == (0, b"timeout\n")
