"""Which partition an image belongs to, whoever publishes it.

It is that of Kafka's own partitioner for Java, which aiokafka and kafka-python have as well: murmur2 of the
key, here the public id. librdkafka's default is another (CRC32), and so are those of some other clients.
"""

from aiokafka.partitioner import murmur2

_POSITIVE = 0x7FFFFFFF


def partition_for(public_id: str, partitions: int) -> int:
    """The partition of an image's events and rows."""
    return int(murmur2(public_id.encode()) & _POSITIVE) % partitions
