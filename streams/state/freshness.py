"""When followed states were last known to be complete: that is, read to ends that were asked for then."""

from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.state.partition import PartitionState

_LONGEST = 60.0  # seconds between two questions for the ends


class Freshness:
    """Keeps `fresh_at` of followed states.

    The consumer's own knowledge of ends will not do: where no answers come, it stays as it was.
    """

    def __init__(
        self,
        places: Mapping[TopicPartition, tuple[PartitionState, str]],
        asked_at: float,
        ends: Mapping[TopicPartition, int],
        interval: float,
    ) -> None:
        """Begin.

        Args:
            places: The changelog partitions, each with its state and table.
            asked_at: When the first ends were asked for, in seconds since the epoch.
            ends: What was answered.
            interval: Seconds between two questions, at most.
        """
        self._places = places
        self._asked_at = asked_at
        self._ends = ends
        self._interval = min(interval, _LONGEST)
        self._unsettled = set(places)

    async def note(self, consumer: AIOKafkaConsumer, now: float) -> None:
        """Take note of how far the consumer is, and ask anew once in a while."""
        for place in list(self._unsettled):
            if await consumer.position(place) >= self._ends[place]:
                self._unsettled.discard(place)
        behind = {self._places[place][0].partition for place in self._unsettled}
        for state, _ in self._places.values():
            if state.partition not in behind and state.fresh_at is not None:
                state.fresh_at = max(state.fresh_at, self._asked_at)
        if now - self._asked_at >= self._interval:
            self._asked_at, self._ends = now, await consumer.end_offsets(list(self._places))
            self._unsettled = set(self._places)
