"""What a rescale would move; nothing is written, and workers may run."""

from schemas.topics import TopicNames
from streams.kafka.admin import open_admin, partition_counts
from streams.kafka.connection import KafkaConnection
from streams.kafka.consumers import consuming
from streams.rescale.moving import misplaced
from streams.rescale.report import Report
from streams.rescale.topics import checked_counts
from streams.state.changelogs import catch_up, changelog_partitions
from streams.state.partition import PartitionState


async def preview(connection: KafkaConnection, names: TopicNames, partitions: int) -> Report:
    """Count what would be moved.

    Raises:
        TopicsError: It cannot be done; the message has the cure.
        KafkaError: The broker refuses, or does not answer.
    """
    report = Report(partitions)
    async with open_admin(connection) as admin:
        found = checked_counts(await partition_counts(admin), names, partitions)
    for number in range(found[names.changelog("images")]):
        state = PartitionState(number)
        async with consuming(connection) as consumer:
            ends = await consumer.end_offsets(list(changelog_partitions(names, [state])))
            await catch_up(consumer, names, state, ends)
        report.images += len(state.rows["images"])
        report.total += len(misplaced(state, partitions))
        report.waiting += len(state.rows["retries"])
    return report
