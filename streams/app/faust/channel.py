"""The channel between units and the Faust agent that folds and commits what leaves them."""

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Any

import faust
from mode.utils.queues import FlowControlEvent, ThrowableQueue

from streams.units.micro_batch import MicroBatch


@dataclass(frozen=True)
class CommitRequest:
    """A micro-batch on its way through the agent, and the unit that waits for what becomes of it."""

    batch: MicroBatch
    committed: asyncio.Future[None] = field(default_factory=asyncio.Future)

    async def answer(self, work: Awaitable[None]) -> None:
        """Do the work to its end, and tell the unit how it ended.

        Whoever runs the agent may be cancelled meanwhile, the work is not. What fails is the unit's affair:
        Faust would start the agent anew, as if nothing were in doubt.
        """
        working = asyncio.ensure_future(work)
        working.add_done_callback(self._settle)
        await asyncio.wait({working})

    def _settle(self, working: asyncio.Future[None]) -> None:
        if self.committed.done():  # the unit has been cancelled
            return
        if working.cancelled():
            self.committed.cancel()
        elif (error := working.exception()) is not None:
            self.committed.set_exception(error)
        else:
            self.committed.set_result(None)


class MicroBatchChannel(faust.Channel):  # type: ignore[misc]  # Faust is untyped here
    """What units request to the agent.

    All actors of the agent take from one queue, which is outside of Faust's flow control: that would empty it
    at each rebalance.
    """

    def __init__(self, app: faust.App, topic: str, **kwargs: Any) -> None:  # noqa: ANN401 - as its base
        self._topic = topic
        own = FlowControlEvent(initially_suspended=False)
        kwargs.setdefault("queue", ThrowableQueue(flow_control=own))
        super().__init__(app, **kwargs)

    def get_topic_name(self) -> str:
        """The topic whose partitions the units work on."""
        return self._topic

    async def commit(self, batch: MicroBatch) -> None:
        """Have the agent fold and commit a micro-batch.

        Raises:
            Exception: What was committed is not known, or another owner took over; the process must end.
        """
        request = CommitRequest(batch)
        self.queue.put_nowait(request)
        await request.committed

    def _clone_args(self) -> Mapping[str, Any]:
        return {**super()._clone_args(), "topic": self._topic, "queue": self.queue}
