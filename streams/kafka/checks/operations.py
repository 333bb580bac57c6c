"""Kafka's operations, as a broker tells which of them it allows."""

from enum import IntEnum


class Operation(IntEnum):
    """Those of Kafka's AclOperation that a worker needs."""

    READ = 3
    WRITE = 4
    DELETE = 6
    DESCRIBE = 8


def operations_of(bits: int) -> frozenset[Operation] | None:
    """The operations whose bits are set; None where the broker does not tell.

    Whoever is told of a resource may describe it: without that bit the answer means nothing, as from brokers
    that fill in 0, or the least number.
    """
    if bits < 0 or not bits & 1 << Operation.DESCRIBE:
        return None
    return frozenset(operation for operation in Operation if bits & 1 << operation)
