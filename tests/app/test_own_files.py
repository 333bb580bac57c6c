"""Files of a process: for its user alone, whatever the umask, and read only where they are files."""

import asyncio
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.errors import SettingsError
from schemas.topics import TopicNames
from streams.app.exit_journal import ExitJournal
from streams.app.profiles import read_profile, write_profile
from streams.cli.local.broker_directory import BrokerDirectory
from streams.own_files import create_own, make_own_folder, open_own, read_own
from streams.state.partition import PartitionState
from streams.state.snapshots import Snapshots


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """What a process makes is open to everybody unless it says otherwise."""
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}


def save_snapshot(folder: Path) -> None:
    snapshots, state = Snapshots(folder, TopicNames("app")), PartitionState(0)
    state.loaded, state.fresh_at = True, time.time()
    frozen = asyncio.run(snapshots.freeze(state))
    assert frozen is not None
    snapshots.save(frozen)


def test_what_a_worker_writes_is_for_its_user_alone(tmp_path: Path) -> None:
    """Snapshots, journals and profiles are 0600, and folders 0700, also those above them."""
    folder = tmp_path / "data" / "state"
    save_snapshot(folder)
    journal = ExitJournal(tmp_path / "data", "koala")
    journal.begin()
    write_profile(tmp_path / "data" / "profile.env", "a remark", {"TAGSTREAM_THREADS": "2"})
    found = modes(tmp_path)
    assert len(found) == 5
    assert {name for name, mode in found.items() if mode == 0o700} == {"data", "state"}
    assert set(found.values()) == {0o700, 0o600}


def test_what_a_broker_writes_is_for_its_user_alone(tmp_path: Path) -> None:
    """Its folder is closed: the events in it have addresses, some of them signed."""
    directory = BrokerDirectory(tmp_path / "data" / "kafka")
    os.close(directory.claim())
    directory.prepare("127.0.0.1", 1, 2, {})
    assert modes(tmp_path) == {"data": 0o700, "kafka": 0o700, "broker.pid": 0o600, "server.properties": 0o600}


def test_a_folder_of_an_earlier_version_is_closed(tmp_path: Path) -> None:
    """Snapshots that others could read cannot be read any more once a worker has saved one."""
    folder = tmp_path / "state"
    folder.mkdir(0o755)
    save_snapshot(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_the_operator_made_is_left_alone(tmp_path: Path) -> None:
    """A data directory that is there keeps its mode: it may be /tmp."""
    tmp_path.chmod(0o755)
    make_own_folder(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_neither_pipes_nor_links_are_written_to(tmp_path: Path) -> None:
    """What has the name is replaced: a pipe would be waited for, and a link followed."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "victim").write_text("koala")
    (tmp_path / "link").symlink_to(tmp_path / "victim")
    for name in ("pipe", "link"):
        with create_own(tmp_path / name) as file:
            file.write(b"x")
        assert (tmp_path / name).read_bytes() == b"x"
    assert (tmp_path / "victim").read_text() == "koala"


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe, a folder, and what is larger than it can be are refused at once."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"12345")
    for path, said in (("pipe", "no regular file"), ("large", "more than 4 bytes")):
        with pytest.raises(OSError, match=said):
            read_own(tmp_path / path, 4)
    with pytest.raises(OSError, match=r"."):
        open_own(tmp_path)


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"restarts":7}', b"\xff", b"x" * 100_000, None])
def test_a_damaged_journal_ends_no_start(
    content: bytes | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nesting, wrong types, no text, too much of it, or a pipe: a warning, and counted anew."""
    journal = ExitJournal(tmp_path, "koala")
    journal.begin()
    (path,) = tmp_path.glob("exits-*.json")
    path.unlink()
    os.mkfifo(path) if content is None else path.write_bytes(content)
    again = ExitJournal(tmp_path, "koala")
    again.begin()
    assert again.restarts == {}
    assert "counted anew" in caplog.text
    assert path.is_file()


def test_a_profile_that_is_a_pipe_is_refused(tmp_path: Path) -> None:
    """The file and the cure are named; nobody waits."""
    os.mkfifo(tmp_path / "profile.env")
    with pytest.raises(SettingsError, match="bench-model"):
        read_profile(tmp_path / "profile.env", frozenset())


@pytest.mark.parametrize("content", [b"[" * 4000, b'{"owner":"x","group":[],"port":{}}', b""])
def test_a_damaged_holder_is_none_that_is_known(content: bytes, tmp_path: Path) -> None:
    """What a locked directory says of its broker may be nonsense; that ends no command."""
    directory = BrokerDirectory(tmp_path)
    descriptor = directory.claim()
    os.pwrite(descriptor, content, 0)
    holder = directory.holder()
    assert holder is not None
    assert (holder.group, holder.port) == (0, 0)
    os.close(descriptor)
