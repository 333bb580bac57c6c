"""A queue for threads that is fair by cost: tenants take turns, and each one's sources among themselves.

Dear items have lanes of their own: so many threads at once work on them, and only where their memory is free.
Whoever takes one never waits for memory, and a thread is left for the others.
"""

import itertools
import queue
import threading
from collections import deque
from typing import Generic, NamedTuple, TypeVar

from streams.tag.clocks import Clocks

Item = TypeVar("Item")

_LATE = "late"
_LATE_COSTS = 4.0  # times as much as it takes: late items come in crowds, and give way to others


class Share(NamedTuple):
    """On whose account an item is worked on: a tenant, and where its image is from.

    Attributes:
        late: Whether it is one of a crowd that others should not wait for.
    """

    tenant: str = ""
    source: str = ""
    late: bool = False

    @property
    def account(self) -> str:
        """Among the sources of its tenant."""
        return _LATE if self.late else f"from {self.source}"

    def priced(self, cost: float) -> float:
        """What is put on its account."""
        return cost * (_LATE_COSTS if self.late else 1.0)


NOBODY = Share()


class _Queued(NamedTuple, Generic[Item]):
    number: int
    item: Item
    price: float
    memory: int
    size: int = 0


class _Source(Generic[Item]):
    """What waits of one source."""

    def __init__(self) -> None:
        self.prompt: deque[_Queued[Item]] = deque()
        self.dear: deque[_Queued[Item]] = deque()

    def has(self, *, prompt: bool, dear: bool) -> bool:
        """Whether anything of these kinds waits."""
        return bool((prompt and self.prompt) or (dear and self.dear))

    def older(self, *, prompt: bool, dear: bool) -> deque[_Queued[Item]]:
        """Of its two queues, the one whose first item came first."""
        first = [queued for queued, wanted in ((self.prompt, prompt), (self.dear, dear)) if queued and wanted]
        return min(first, key=lambda queued: queued[0].number)


class FairQueue(Generic[Item]):
    """The queue. Callable from any thread.

    Args of the constructor: how many dear items are worked on at once; the memory that all items may take in
    work; the bytes that all dear ones may have while they wait.
    """

    def __init__(self, *, dear_at_once: int = 1, memory: int = 1 << 62, room: int = 1 << 62) -> None:
        self._tenants = Clocks[Clocks[_Source[Item]]]()
        self._dear_left = dear_at_once
        self._memory = self._memory_left = memory
        self._memory_awaited = False
        self._room, self._waiting_bytes = room, 0
        self._numbers = itertools.count()
        self._waiting = 0
        self._changed = threading.Condition()
        self._closed = False

    def __len__(self) -> int:
        return self._waiting

    def put(self, item: Item, share: Share = NOBODY, *, cost: float = 1.0) -> None:
        """Add an item that a thread takes as soon as it is its share's turn.

        Args:
            item: Anything.
            share: On whose account.
            cost: What it probably costs, in any unit.

        Raises:
            RuntimeError: The queue is closed.
        """
        with self._changed:
            queued = _Queued(next(self._numbers), item, share.priced(cost), 0)
            self._source(share).prompt.append(queued)
            self._changed.notify_all()

    def put_dear(self, item: Item, share: Share, *, cost: float, memory: int, size: int = 0) -> bool:
        """Add an item that waits until a lane for dear ones and so much memory are free.

        Returns:
            Whether there was room for its bytes; one always has.

        Raises:
            RuntimeError: The queue is closed.
        """
        with self._changed:
            if self._waiting_bytes and self._waiting_bytes + size > self._room:
                return False
            queued = _Queued(next(self._numbers), item, share.priced(cost), min(memory, self._memory), size)
            self._source(share).dear.append(queued)
            self._waiting_bytes += size
            self._changed.notify_all()
            return True

    def charge(self, share: Share, cost: float) -> None:
        """Put on an account what something cost beyond what was said; below 0: it cost less."""
        with self._changed:
            if (tenant := self._tenants.get(share.tenant)) is not None:
                self._tenants.charge(share.tenant, share.priced(cost))
                tenant.charge(share.account, share.priced(cost))

    def take_memory(self, size: int) -> bool:
        """Take memory for an item at hand, if it is free and no other item waits for some."""
        with self._changed:
            if size > self._memory_left or self._memory_awaited:
                return False
            self._memory_left -= size
            return True

    def free_memory(self, size: int) -> None:
        """Give memory back."""
        with self._changed:
            self._memory_left += size
            self._changed.notify_all()

    def finish_dear(self, memory: int) -> None:
        """Give back the lane, and the memory, of a dear item."""
        with self._changed:
            self._dear_left += 1
            self._memory_left += min(memory, self._memory)
            self._changed.notify_all()

    def close(self) -> list[Item]:
        """Let the threads go that wait for an item, and return what is left."""
        with self._changed:
            self._closed = True
            sources = [source for tenant in self._tenants.values() for source in tenant.values()]
            left = [queued.item for source in sources for queued in (*source.prompt, *source.dear)]
            self._tenants = Clocks()
            self._waiting = 0
            self._changed.notify_all()
            return left

    def get(self, *, prompt: bool = True, dear: bool = True) -> Item | None:
        """Wait for an item; None: the queue is closed.

        Args:
            prompt: Whether it may be one that is not dear.
            dear: Whether it may be a dear one. Its lane and memory are taken: `finish_dear` gives them back.
        """
        with self._changed:
            while not self._closed:
                if (queued := self._next(prompt=prompt, dear=dear)) is not None:
                    return queued.item
                self._changed.wait()
            return None

    def get_nowait(self) -> Item:
        """Remove and return an item that is not dear.

        Raises:
            queue.Empty: There is none.
        """
        with self._changed:
            if (queued := self._next(prompt=True, dear=False)) is None:
                raise queue.Empty
            return queued.item

    def _source(self, share: Share) -> _Source[Item]:
        """Where an item of a share waits."""
        if self._closed:
            raise RuntimeError("the queue is closed")
        if not self._waiting:  # nobody waits for anybody: what was before does not count
            self._tenants = Clocks()
        self._waiting += 1
        return self._tenants.joining(share.tenant, Clocks).joining(share.account, _Source)

    def _next(self, *, prompt: bool, dear: bool) -> _Queued[Item] | None:
        dear = dear and self._dear_left > 0
        if (name := self._tenants.next(prompt=prompt, dear=dear)) is None:
            return None
        tenant = self._tenants.get(name)
        account = tenant.next(prompt=prompt, dear=dear) if tenant else None
        source = tenant.get(account) if tenant and account else None
        if tenant is None or account is None or source is None:
            raise RuntimeError("a queue whose turn it is has nothing: report this bug")
        waiting = source.older(prompt=prompt, dear=dear)
        if waiting is source.dear:
            if waiting[0].memory > self._memory_left:  # it is next: no other that needs memory overtakes it
                self._memory_awaited = True
                return self._next(prompt=prompt, dear=False)
            self._memory_awaited = False
            self._dear_left -= 1
            self._memory_left -= waiting[0].memory
            self._waiting_bytes -= waiting[0].size
        queued = waiting.popleft()
        self._waiting -= 1
        self._tenants.serve(name, queued.price)
        tenant.serve(account, queued.price)
        return queued
