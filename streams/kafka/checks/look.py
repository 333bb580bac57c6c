"""One look at a cluster: what it answers, before anybody judges it. Nothing is written.

What a broker does not tell is None, or the error that it gave instead; checks say what that means.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    IncompatibleBrokerVersion,
    KafkaError,
    NotCoordinatorForGroupError,
    TransactionalIdAuthorizationFailed,
    for_code,
)
from aiokafka.protocol.admin import ApiVersionRequest
from aiokafka.protocol.transaction import EndTxnRequest

from schemas.topics import TABLES, TopicNames
from streams.kafka.checks.operations import Operation, operations_of
from streams.kafka.checks.requests import DescribeAllTopics, DescribeGroup, DescribeQuorum
from streams.kafka.connection import KafkaConnection
from streams.kafka.consumers import consuming

CONFIGS = (
    "cleanup.policy",
    "delete.retention.ms",
    "max.message.bytes",
    "message.timestamp.after.max.ms",
    "message.timestamp.type",
    "retention.bytes",
    "retention.ms",
)
_GROUP, _TRANSACTION = 0, 1  # kinds of coordinators
_NOBODY = 2**63 - 1  # a producer id that no broker gives
_PATIENCE = 5.0  # seconds; a new cluster makes its coordinators' topics when it is first asked
_PAUSE = 0.05  # seconds between two attempts
_PASSING = (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    NotCoordinatorForGroupError,
)
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class TopicLook:
    """A topic that is there: how many partitions it has, and what we may do; None: not told."""

    partitions: int
    operations: frozenset[Operation] | None = None


@dataclass(frozen=True)
class Look:
    """What a cluster has answered.

    Attributes:
        topics: Those of ours that are there.
        configs: The configuration of each of them, or why it is not told.
        filled: State topics that hold records; asked only where topics are missing.
        strangers: Topics of ours that are there, and should not be.
        group: What we may do with the workers' group; None: not told.
        repartition_group: The same of the group for upload topics; asked only where those are repartitioned.
        transactions: Why no transaction could be started under the partitions' ids; None: one could.
        ahead: Seconds that our clock is ahead of the controller's, and the most by which that may be wrong.
    """

    topics: Mapping[str, TopicLook] = field(default_factory=dict)
    configs: Mapping[str, Mapping[str, str] | KafkaError] = field(default_factory=dict)
    filled: frozenset[str] = frozenset()
    strangers: frozenset[str] = frozenset()
    group: frozenset[Operation] | KafkaError | None = None
    repartition_group: frozenset[Operation] | KafkaError | None = None
    transactions: KafkaError | None = None
    ahead: tuple[float, float] | KafkaError = field(default_factory=IncompatibleBrokerVersion)

    @property
    def counts(self) -> dict[str, int]:
        """The number of partitions of each topic that is there."""
        return {name: topic.partitions for name, topic in self.topics.items()}


async def versions_of(admin: AIOKafkaAdminClient) -> dict[int, int]:
    """The newest version of each request that the broker knows.

    Raises:
        KafkaError: It does not answer.
    """
    answer = await _send(admin, ApiVersionRequest())
    return {key: newest for key, _, newest in answer.api_versions}


async def look_at(admin: AIOKafkaAdminClient, connection: KafkaConnection, names: TopicNames) -> Look:
    """Ask a cluster all that the checks want to know.

    Raises:
        KafkaError: It does not answer, or does not let us ask.
    """
    there = await _topics(admin)
    topics = {name: topic for name, topic in there.items() if name in names.configs}
    configs, filled, group, repartition_group, transactions, ahead = await asyncio.gather(
        _configs(admin, topics),
        _filled(connection, names, topics),
        _answer_or_error(lambda: _group(admin, names.app_id)),
        _answer_or_error(lambda: _group(admin, names.repartition_group if names.copied else names.app_id)),
        _answer_or_error(lambda: _transactions(admin, names.app_id)),
        _answer_or_error(lambda: _ahead(admin)),
    )
    return Look(
        topics=topics,
        configs=configs,
        filled=filled,
        strangers=frozenset({names.rescale, names.repartition} & there.keys() - topics.keys()),
        group=group,
        repartition_group=repartition_group,
        transactions=transactions,
        ahead=ahead,
    )


async def _topics(admin: AIOKafkaAdminClient) -> dict[str, TopicLook]:
    """All topics: to ask for one by name would create it, with too few partitions, where brokers do that."""
    try:
        answer = await _send(admin, DescribeAllTopics())
    except (IncompatibleBrokerVersion, NotImplementedError):  # a broker of another maker
        found = await admin.describe_topics()
        return {
            each["topic"]: TopicLook(len(each["partitions"])) for each in found if each["error_code"] == 0
        }
    return {
        name: TopicLook(len(partitions), operations_of(allowed))
        for code, name, _, partitions, allowed in answer.topics
        if code == 0
    }


async def _answer_or_error(ask: Callable[[], Awaitable[_Result]]) -> _Result | KafkaError:
    """What a request gives, or why it gives nothing; a coordinator that is not there yet is waited for."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return await ask()
        except _PASSING as error:
            if time.monotonic() > deadline:
                return error
        except KafkaError as error:
            return error
        except NotImplementedError as error:  # aiokafka's word for a request that the broker has outgrown
            return IncompatibleBrokerVersion(str(error))
        await asyncio.sleep(_PAUSE)


async def _configs(
    admin: AIOKafkaAdminClient, topics: Iterable[str]
) -> dict[str, Mapping[str, str] | KafkaError]:
    asked = [ConfigResource(ConfigResourceType.TOPIC, name, dict.fromkeys(CONFIGS)) for name in topics]
    found: dict[str, Mapping[str, str] | KafkaError] = {}
    for answer in await admin.describe_configs(asked) if asked else ():
        for code, _, _, topic, entries in answer.resources:
            found[topic] = for_code(code)() if code else {name: value for name, value, *_ in entries}
    return found


async def _filled(
    connection: KafkaConnection, names: TopicNames, topics: Mapping[str, TopicLook]
) -> frozenset[str]:
    """The state topics with records, or none where no topic is missing: then nobody needs to know."""
    state = [names.changelog(table) for table in TABLES if names.changelog(table) in topics]
    if len(topics) == len(names.configs) or not state:
        return frozenset()
    places = [TopicPartition(name, number) for name in state for number in range(topics[name].partitions)]
    async with consuming(connection) as consumer:
        ends = await consumer.end_offsets(places)
    return frozenset(place.topic for place, end in ends.items() if end)


async def _group(admin: AIOKafkaAdminClient, group: str) -> frozenset[Operation] | None:
    coordinator = await admin.find_coordinator(group, _GROUP)
    answer = await _send(admin, DescribeGroup(group), coordinator)
    code, *_, allowed = answer.groups[0]
    if code:
        raise for_code(code)(group)
    return operations_of(allowed)


async def _transactions(admin: AIOKafkaAdminClient, app_id: str) -> None:
    """Ask to end a transaction that nobody has: a broker looks at permissions first, and ends nothing.

    Permissions may be for all ids that begin with the name of the application, or for each partition's own.
    """
    try:
        await _end_nothing(admin, f"{app_id}-doctor")
    except TransactionalIdAuthorizationFailed:
        await _end_nothing(admin, f"{app_id}-0")


async def _end_nothing(admin: AIOKafkaAdminClient, transactional_id: str) -> None:
    coordinator = await admin.find_coordinator(transactional_id, _TRANSACTION)
    answer = await _send(admin, EndTxnRequest(transactional_id, _NOBODY, 0, False), coordinator)
    if for_code(answer.error_code) is TransactionalIdAuthorizationFailed:
        raise TransactionalIdAuthorizationFailed(transactional_id)


async def _ahead(admin: AIOKafkaAdminClient) -> tuple[float, float]:
    asked = time.time()
    answer = await _send(admin, DescribeQuorum())
    heard = time.time()
    code = answer.error_code or answer.topics[0][1][0][1]
    if code:
        raise for_code(code)
    _, _, leader, _, _, voters, *_ = answer.topics[0][1][0]
    told = next(fetched for replica, _, fetched, *_ in voters if replica == leader) / 1000
    return (asked + heard) / 2 - told, (heard - asked) / 2


async def _send(admin: AIOKafkaAdminClient, request: object, node: int | None = None) -> Any:  # noqa: ANN401 - aiokafka's structs
    return await admin._send_request(request, node)  # noqa: SLF001 - the client has no call for these
