"""Faust's view of the state: tables that units write and everybody else reads.

Faust would write a row locally first and to the changelog later, and would restore it on its own. Here the
rows of a partition belong to its unit's ledger, which writes them in a transaction and restores them
before the first event. So the store is a window on the ledgers, and the table manager restores nothing.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import faust
import orjson
from faust.stores.base import Store
from faust.tables.manager import TableManager
from faust.types import TP, EventT

Rows = Mapping[str, bytes]
_FAUST_LOG = logging.getLogger("faust.tagstream")  # services tell of their starts and stops


class LedgerStore(Store):  # type: ignore[misc]  # Faust is untyped here
    """Rows of one table over all partitions that this worker owns. Read-only."""

    logger = _FAUST_LOG

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as its base
        super().__init__(*args, **kwargs)
        self.partitions: dict[int, Rows] = {}

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401 - rows are JSON
        for rows in self.partitions.values():
            if key in rows:
                return orjson.loads(rows[key])
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        for rows in self.partitions.values():
            yield from rows

    def __len__(self) -> int:
        return sum(len(rows) for rows in self.partitions.values())

    def __contains__(self, key: object) -> bool:
        return any(key in rows for rows in self.partitions.values())

    def __setitem__(self, key: str, value: object) -> None:
        raise TypeError(f"row {key!r} of {self.table_name}: rows change only in a unit's transaction")

    def __delitem__(self, key: str) -> None:
        raise TypeError(f"row {key!r} of {self.table_name}: rows change only in a unit's transaction")

    def persisted_offset(self, _tp: TP) -> int | None:
        """Nothing to tell: the ledger keeps track."""
        return None

    def apply_changelog_batch(self, _batch: Iterable[EventT], *_: object, **__: object) -> None:
        """Refuse: the ledger restores the rows."""
        raise TypeError(f"table {self.table_name}: its ledgers restore it")

    def reset_state(self) -> None:
        """Nothing to reset: there are no local files."""

    async def backup_partition(self, *_: object, **__: object) -> None:
        """Nothing to back up: there are no local files."""

    def restore_backup(self, *_: object, **__: object) -> None:
        """Nothing to restore: there are no local files."""


class LedgerTable(faust.Table):  # type: ignore[misc]  # Faust is untyped here
    """A table whose rows are the ledgers'."""

    logger = _FAUST_LOG

    def _new_store(self) -> LedgerStore:
        return LedgerStore("ledger://", self.app, self, table_name=self.name, loop=self.loop)

    async def on_start(self) -> None:
        """Nothing to declare: `schemas.topics` creates the changelogs."""


class LedgerTableManager(TableManager):  # type: ignore[misc]  # Faust is untyped here
    """Starts the tables and lets the worker go on after a rebalance; reads no changelog."""

    logger = _FAUST_LOG

    async def on_start(self) -> None:
        """Start without recovery."""
        await self._update_channels()
        self.recovery.completed.set()

    async def _update_channels(self) -> None:
        self._tables_finalized.set()
        for table in self.values():
            await table.maybe_start()
        self._tables_registered.set()

    async def on_stop(self) -> None:
        """Stop the tables."""
        await self.app._fetcher.stop()  # noqa: SLF001 - as Faust's own manager does
        for table in self.values():
            await table.stop()

    async def on_rebalance(
        self, _assigned: set[TP], _revoked: set[TP], _newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """Tell Faust that the tables are as good as they get; its consumer stays paused."""
        app = self.app
        if generation_id != app.consumer_generation_id:
            return  # another rebalance has begun
        await app.on_rebalance_complete.send()
        app.flow_control.resume()
        app.consumer.resume_flow()
        await app._fetcher.maybe_start()  # noqa: SLF001 - as Faust's own recovery does
        self.on_actives_ready()
        self.on_standbys_ready()
        app.on_rebalance_end()

    async def wait_until_recovery_completed(self) -> bool:
        """Never wait."""
        return False
