"""All checks of a cluster, in the order in which a worker refuses to go on."""

from collections.abc import Iterable

from schemas.topics import TopicNames
from streams.kafka.checks.cluster import check_clock
from streams.kafka.checks.findings import Finding
from streams.kafka.checks.look import Look
from streams.kafka.checks.permissions import check_permissions
from streams.kafka.checks.topics import check_configs, check_partitions, check_presence, check_strangers
from streams.kafka.connection import KafkaConnection


def check_cluster(
    look: Look,
    names: TopicNames,
    partitions: int,
    connection: KafkaConnection,
    *,
    tags: bool = True,
    publishes: bool = False,
) -> Iterable[Finding]:
    """What one look at a cluster says, its version apart: without that one there is no look.

    Args:
        look: What the cluster has answered.
        names: The deployment's topics.
        partitions: How many each should have.
        connection: Who has asked.
        tags: Whether uploads are to be tagged; else the state is only followed.
        publishes: Whether upload events are to be published, and dead letters read, as a gateway does.
    """
    yield check_clock(look)
    yield check_partitions(look.counts, partitions, names)
    yield check_presence(look, names)
    yield from check_strangers(look, names)
    yield from check_permissions(look, names, connection, tags=tags, publishes=publishes)
    yield from check_configs(look, names)
