"""How a worker's earlier lives ended: a process cannot count its own deaths, so its data directory does.

A supervisor knows exit codes only, and each platform has its own. The worker itself knows why it ends, and
writes that down; where the next start finds nothing written, it was killed.
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import msgspec

from streams.own_files import read_own, replace_own
from streams.telemetry.metrics import EXITS, OTHER

_MOST_BYTES = 65_536
log = logging.getLogger(__name__)


class _Journal(msgspec.Struct):
    """What the file holds: how often the worker started after each kind of end; how its last life ended."""

    restarts: dict[str, int] = {}
    ended: str | None = None


class ExitJournal:
    """The file of one worker. It never stops a worker: what cannot be read or written is a warning.

    Args of the constructor: the worker's data directory; its name among those that share it.
    """

    def __init__(self, data_dir: Path, name: str) -> None:
        digest = hashlib.blake2s(name.encode(), digest_size=8).hexdigest()
        self._path = data_dir / f"exits-{digest}.json"
        self._journal: _Journal | None = None

    @property
    def restarts(self) -> Mapping[str, int]:
        """How often the worker started after each kind of end, see `EXITS`."""
        return self._journal.restarts if self._journal else {}

    def begin(self) -> None:
        """Count how the last life ended, and begin another one."""
        restarts = Counter[str]()
        if (last := self._read()) is not None:
            for reason, number in (*last.restarts.items(), (last.ended or "killed", 1)):
                restarts[reason if reason in EXITS else OTHER] += number
        self._journal = _Journal(dict(restarts))
        self._write(self._journal)

    def end(self, reason: str) -> None:
        """Write down why this life ends, the first time it is said; nothing where it has not begun."""
        if self._journal is not None and self._journal.ended is None:
            self._journal.ended = reason
            self._write(self._journal)

    def _read(self) -> _Journal | None:
        try:
            return msgspec.json.decode(read_own(self._path, _MOST_BYTES), type=_Journal)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError, RecursionError) as error:
            log.warning("%s cannot be read, restarts are counted anew: %s", self._path, error)
            return None

    def _write(self, journal: _Journal) -> None:
        try:
            replace_own(self._path, msgspec.json.encode(journal))
        except OSError as error:
            log.warning("%s cannot be written, the next start counts no restart: %s", self._path, error)
