import asyncio
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import pytest

from schemas.topics import TopicNames
from streams.kafka.connection import KafkaConnection
from streams.state.partition import PartitionState
from streams.state.replica import Replica
from streams.state.snapshot_file import Snapshot, write
from streams.state.snapshots import SnapshotKeeper, Snapshots
from streams.units.ledger import Ledger


def state_with(images: int, partition: int = 2) -> PartitionState:
    state = PartitionState(partition)
    for number in range(images):
        state.apply("images", f"img{number}", b'{"o":%d}' % number)
    state.apply("meta", "@offset", b'{"next":%d}' % images)
    state.positions |= {"images": images, "meta": 1}
    state.loaded, state.fresh_at = True, time.time()
    return state


def frozen_by(snapshots: Snapshots, state: PartitionState) -> Snapshot:
    frozen = asyncio.run(snapshots.freeze(state))
    assert frozen is not None
    return frozen


def test_a_snapshot_gives_back_what_was_frozen(tmp_path: Path) -> None:
    """Rows and changelog positions return; changes after the freeze are not in it."""
    snapshots = Snapshots(tmp_path / "deep" / "folder", TopicNames("app"))
    state = state_with(5000)
    frozen = frozen_by(snapshots, state)
    state.apply("images", "later", b"{}")
    snapshots.save(frozen)
    loaded = snapshots.load(2)
    assert loaded is not None
    assert loaded.rows == frozen.rows
    fresh = PartitionState(2)
    fresh.restore(loaded.rows, loaded.head.positions)
    assert "later" not in fresh.rows["images"]
    assert fresh.next_offset == 5000
    assert fresh.positions["images"] == 5000


def test_one_snapshot_is_written_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a stop the last save may come while an earlier one, which nobody awaits any more, still writes."""
    snapshots = Snapshots(tmp_path, TopicNames("app"))
    begun, go_on = threading.Event(), threading.Event()

    def slowly(file: BinaryIO, snapshot: Snapshot) -> None:
        begun.set()
        go_on.wait(5)
        write(file, snapshot)

    monkeypatch.setattr("streams.state.snapshots.write", slowly)
    with ThreadPoolExecutor() as threads:
        first = threads.submit(snapshots.save, frozen_by(snapshots, state_with(100)))
        begun.wait(5)
        second = threads.submit(snapshots.save, frozen_by(snapshots, state_with(200)))
        time.sleep(0.05)  # so that a second writer would be at it
        go_on.set()
        first.result()
        second.result()
    loaded = snapshots.load(2)
    assert loaded is not None
    assert len(loaded.rows["images"]) == 200


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 0xFF
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def age(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"snapshot-2", b"snapshot-1", 1))


def claim_4_gigabytes(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:21] + b"\xff" * 4 + content[25:])


def nest_the_head(path: Path) -> None:
    head = b"\x81\xa1x" + b"\x91" * 200_000 + b"\xc0"
    path.write_bytes(path.read_bytes()[:21] + len(head).to_bytes(4, "big") + head)


def nest_a_block(path: Path) -> None:
    content, block = path.read_bytes(), b"\x94\xa1t\x90\x90" + b"\x91" * 200_000 + b"\xc0"
    head = content[21 : 25 + int.from_bytes(content[21:25], "big")]
    path.write_bytes(content[:21] + head + len(block).to_bytes(4, "big") + block)


def lead_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES = (truncate, flip, empty, cut, lengthen, age)
MALICE = (claim_4_gigabytes, nest_the_head, nest_a_block, lead_a_pipe, become_a_folder)


@pytest.mark.parametrize("damage", [*DAMAGES, *MALICE])
@pytest.mark.timeout(20)
def test_a_damaged_snapshot_is_left_aside(
    tmp_path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    """The changelogs are read instead, and a warning names the file."""
    snapshots = Snapshots(tmp_path, TopicNames("app"))
    snapshots.save(frozen_by(snapshots, state_with(3)))
    (path,) = tmp_path.iterdir()
    damage(path)
    assert snapshots.load(2) is None
    assert str(path) in caplog.text


def test_a_snapshot_that_might_miss_removals_is_left_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Kafka forgets tombstones after a while: an older snapshot would bring removed rows back."""
    snapshots = Snapshots(tmp_path, TopicNames("app"))
    snapshots.save(frozen_by(snapshots, state_with(3)))
    now = frozen_by(snapshots, state_with(1)).head.saved_at
    monkeypatch.setattr("streams.state.snapshots.time.time", lambda: now + 6 * 86_400)
    assert snapshots.load(2) is None
    assert "too old" in caplog.text


@pytest.mark.parametrize("position", [-5, 2**63])
def test_a_snapshot_of_no_offsets_is_left_aside(
    tmp_path: Path, position: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A position that no log has leads nowhere."""
    snapshots = Snapshots(tmp_path, TopicNames("app"))
    state = state_with(3)
    state.positions["images"] = position
    snapshots.save(frozen_by(snapshots, state))
    assert snapshots.load(2) is None
    assert "names no offsets" in caplog.text


def test_large_rows_make_blocks_that_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block has bytes enough or rows enough, whichever comes first, and never more than a reader takes."""
    monkeypatch.setattr("streams.state.snapshot_file._BYTES_PER_BLOCK", 1000)
    monkeypatch.setattr("streams.state.snapshot_file.MAX_BLOCK", 2000)
    snapshots, state = Snapshots(tmp_path, TopicNames("app")), state_with(0)
    for number in range(50):
        state.apply("images", f"img{number}", b"x" * 300)
    snapshots.save(frozen := frozen_by(snapshots, state))
    loaded = snapshots.load(2)
    assert loaded is not None
    assert loaded.rows == frozen.rows


def test_another_application_s_snapshot_is_left_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that was renamed from another application or partition is not believed."""
    snapshots = Snapshots(tmp_path, TopicNames("app"))
    snapshots.save(frozen_by(snapshots, state_with(3)))
    (path,) = tmp_path.iterdir()
    path.rename(tmp_path / "app-1.snapshot")
    assert snapshots.load(1) is None
    assert "changelogs instead" in caplog.text


async def test_a_folder_that_cannot_be_written_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A full or forbidden disk costs the snapshot, not the worker."""
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    replica = Replica(KafkaConnection(), TopicNames("app"), 1, follows=True)
    replica.states[0] = state_with(3, 0)
    keeper = SnapshotKeeper(replica, Snapshots(blocked, TopicNames("app")))
    await keeper.save_all()
    assert "a restart will take longer" in caplog.text


async def test_what_becomes_of_snapshots_is_counted(tmp_path: Path) -> None:
    """Saved, restored, unusable, and failed where the folder cannot be written to."""
    snapshots = Snapshots(tmp_path / "state", TopicNames("app"))
    frozen = await snapshots.freeze(state_with(3))
    assert frozen is not None
    snapshots.save(frozen)
    snapshots.load(2)
    snapshots.load(1)
    (tmp_path / "state" / "app-1.snapshot").write_bytes(b"nonsense")
    snapshots.load(1)
    assert snapshots.results == {"restored": 1, "unusable": 1}
    (tmp_path / "file").touch()
    replica = Replica(KafkaConnection("localhost:9"), TopicNames("app"), 3, follows=False)
    replica.states[2] = state_with(3)
    elsewhere = Snapshots(tmp_path / "file", TopicNames("app"))
    await SnapshotKeeper(replica, elsewhere).save_all()
    await SnapshotKeeper(replica, snapshots).save_all()
    assert elsewhere.results == {"failed": 1}
    assert snapshots.results["saved"] == 1


def test_a_snapshot_is_as_old_as_what_it_holds(tmp_path: Path) -> None:
    """Not as its file: a state that was cut off for days before it was saved is as old as that."""
    state = state_with(3)
    state.fresh_at = 1e9
    assert frozen_by(Snapshots(tmp_path, TopicNames("app")), state).head.saved_at == 1e9


async def test_a_snapshot_within_a_large_transaction_lacks_nothing(tmp_path: Path) -> None:
    """Its positions are those from before, as long as not all rows of the transaction are applied."""
    names, state = TopicNames("app"), state_with(0)
    rows = [("images", f"img{number}", b'{"o":0}') for number in range(5000)]
    ledger = Ledger(KafkaConnection(), names, state)
    absorbing = asyncio.create_task(ledger._absorb(rows, {names.changelog("images"): 5001}))
    await asyncio.sleep(0)
    frozen = await Snapshots(tmp_path, names).freeze(state)
    await absorbing
    assert frozen is not None
    assert 0 < len(frozen.rows["images"]) < 5000
    assert frozen.head.positions["images"] == 0
    assert state.positions["images"] == 5001
