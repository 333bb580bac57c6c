"""Local copies of partition states, so that a restart need not read the whole changelogs.

A snapshot is a cache, never the truth: it says up to which changelog offsets it holds, and everything
after those is read from Kafka. One that is damaged, too old or of another incarnation is left aside.
"""

import asyncio
import logging
import os
import threading
import time
from collections import Counter
from pathlib import Path
from typing import BinaryIO

import msgspec

from schemas.topics import TABLES, TopicNames
from streams.own_files import close_to_others, create_own, make_own_folder, open_own
from streams.state.partition import PartitionState
from streams.state.replica import Replica
from streams.state.snapshot_file import Head, Snapshot, read, write

log = logging.getLogger(__name__)

_DAMAGE = (OSError, ValueError, msgspec.MsgspecError, RecursionError, MemoryError)
_OFFSETS = range(2**63)


class Snapshots:
    """Snapshots of one application's partitions in a folder, as long as they are trusted.

    Attributes:
        results: How many were saved, failed to be saved, were restored, and could not be used.
    """

    def __init__(self, folder: Path, names: TopicNames) -> None:
        self.results = Counter[str]()
        self._folder = folder
        self._app_id = names.app_id
        self._max_age = names.trusted_seconds
        self._writing = threading.Lock()

    async def freeze(self, state: PartitionState) -> Snapshot | None:
        """Copy a loaded state, table by table, with turns of the event loop between; None: it was cleared.

        A table of 600,000 rows takes 8 ms. Each is as it was at its own position: a loader reads on there.
        """
        identity, saved_at = state.identity, state.fresh_at
        rows: dict[str, dict[str, bytes]] = {}
        positions: dict[str, int] = {}
        for table in TABLES:
            positions[table], rows[table] = state.positions[table], state.rows[table].copy()
            await asyncio.sleep(0)
        if saved_at is None or not state.loaded or state.identity != identity:
            return None
        return Snapshot(Head(self._app_id, state.partition, saved_at, positions), rows)

    def save(self, snapshot: Snapshot) -> None:
        """Write a copy so that a crash leaves the old file or the new one. For threads, one after another.

        Raises:
            OSError: The folder cannot be written to.
        """
        make_own_folder(self._folder)
        close_to_others(self._folder)
        path = self._path(snapshot.head.partition)
        draft = path.with_suffix(".draft")
        with self._writing:  # whoever awaited the last one may be gone, and its thread still at it
            try:
                with create_own(draft) as file:
                    write(file, snapshot)
                    file.flush()
                    os.fsync(file.fileno())
                draft.replace(path)
            except OSError:
                draft.unlink(missing_ok=True)  # what is left of it would only fill the disk further
                raise

    def load(self, partition: int) -> Snapshot | None:
        """Read the snapshot of a partition, if there is a usable one. For a thread."""
        path = self._path(partition)
        try:
            file = open_own(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("snapshot %s is unusable, reading the changelogs instead: %s", path, error)
            snapshot = None
        else:
            snapshot = self._read(file, path, partition)
        self.results["unusable" if snapshot is None else "restored"] += 1
        return snapshot

    def _read(self, file: BinaryIO, path: Path, partition: int) -> Snapshot | None:
        try:
            with file:
                snapshot = read(file)
        except _DAMAGE as error:
            log.warning("snapshot %s is unusable, reading the changelogs instead: %s", path, error)
            return None
        head = snapshot.head
        if (head.app_id, head.partition) != (self._app_id, partition):
            log.warning("snapshot %s is of %s, reading the changelogs instead", path, head.app_id)
            return None
        if snapshot.rows.keys() != set(TABLES) or head.positions.keys() != set(TABLES):
            log.warning("snapshot %s has other tables, reading the changelogs instead", path)
            return None
        if not all(position in _OFFSETS for position in head.positions.values()):
            log.warning("snapshot %s names no offsets, reading the changelogs instead", path)
            return None
        if not 0 <= time.time() - head.saved_at < self._max_age:
            log.warning("snapshot %s is too old, reading the changelogs instead", path)
            return None
        return snapshot

    def _path(self, partition: int) -> Path:
        return self._folder / f"{self._app_id}-{partition}.snapshot"


class SnapshotKeeper:
    """Restores a replica's states at start and saves them now and then."""

    def __init__(self, replica: Replica, snapshots: Snapshots) -> None:
        self._replica = replica
        self._snapshots = snapshots
        self._saved: dict[int, dict[str, int]] = {}

    async def restore_all(self) -> None:
        """Put what the folder has into the states, before anybody feeds them."""
        for partition, state in self._replica.states.items():
            snapshot = await asyncio.to_thread(self._snapshots.load, partition)
            if snapshot is not None:
                state.restore(snapshot.rows, snapshot.head.positions, snapshot.head.saved_at)
                self._saved[partition] = dict(state.positions)
                log.info("partition %d: snapshot of %d images", partition, len(state.rows["images"]))

    async def run(self, interval: float) -> None:
        """Save every `interval` seconds, for ever."""
        while True:
            await asyncio.sleep(interval)
            await self.save_all()

    async def save_all(self) -> None:
        """Save the states that changed since they were saved last."""
        for partition, state in self._replica.states.items():
            if not state.loaded or self._saved.get(partition) == state.positions:
                continue
            snapshot = await self._snapshots.freeze(state)
            if snapshot is None:
                continue
            try:
                await asyncio.to_thread(self._snapshots.save, snapshot)
            except OSError as error:
                self._snapshots.results["failed"] += 1
                log.warning("cannot save a snapshot, a restart will take longer: %s", error)
                return
            self._snapshots.results["saved"] += 1
            self._saved[partition] = snapshot.head.positions
