"""What was found in images lately, by the digest of their bytes: a copy is not decoded and inferred again."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from blake3 import blake3

Finding = TypeVar("Finding")

_DIGEST_BYTES = 16


def digest_of(data: bytes) -> str:
    """128 bits of BLAKE3 in hexadecimal: nobody can make two files for one digest."""
    return blake3(data).hexdigest(length=_DIGEST_BYTES)


class KnownImages(Generic[Finding]):
    """A bounded memory that forgets what was not asked for longest. Threads may share it."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._findings: OrderedDict[Hashable, Finding] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Finding | None:
        """What is remembered; None if nothing is."""
        with self._lock:
            found = self._findings.get(key)
            if found is not None:
                self._findings.move_to_end(key)
            return found

    def put(self, key: Hashable, finding: Finding) -> None:
        """Remember something, and forget the oldest where there is no room."""
        with self._lock:
            self._findings[key] = finding
            self._findings.move_to_end(key)
            if len(self._findings) > self._size:
                self._findings.popitem(last=False)
