"""The id that a broker gave a topic when it was created: one that was recreated has another (KIP-516).

aiokafka asks for older versions of the request; this is Kafka's Metadata, version 10 (Kafka 2.8).
"""

import functools
import uuid

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import IncompatibleBrokerVersion, UnknownTopicOrPartitionError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

from streams.kafka.faults import patiently

_TEXT, _MORE = CompactString("utf-8"), ("tags", TaggedFields)
_NO_ID = uuid.UUID(int=0)
_HALF = 2**64
_DEADLINE = 30.0  # seconds; a broker that has just started, or a topic that is new, takes some


class _Answer(Response):  # type: ignore[misc]  # aiokafka is untyped here
    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(("node_id", Int32), ("host", _TEXT), ("port", Int32), ("rack", _TEXT), _MORE),
        ),
        ("cluster_id", _TEXT),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("topic", _TEXT),
                ("id_high", Int64),
                ("id_low", Int64),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        _MORE,
                    ),
                ),
                ("authorized_operations", Int32),
                _MORE,
            ),
        ),
        ("cluster_authorized_operations", Int32),
        _MORE,
    )


class _Question(RequestStruct):  # type: ignore[misc]  # aiokafka is untyped here
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = _Answer
    SCHEMA = Schema(
        ("topics", CompactArray(("id_high", Int64), ("id_low", Int64), ("topic", _TEXT), _MORE)),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        _MORE,
    )


class _DescribeTopic(Request[_Question]):  # type: ignore[misc]  # aiokafka is untyped here
    API_KEY = 3

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def build(self, request_struct_class: type[_Question]) -> _Question:
        return request_struct_class([(0, 0, self._topic, {})], False, False, False, {})


async def topic_id(client: AIOKafkaClient, topic: str) -> uuid.UUID | None:
    """A topic's id; None: the brokers have none (Kafka before 2.8, or another maker's).

    Raises:
        KafkaError: The topic is not there, or no broker answers.
    """
    try:
        return await patiently(functools.partial(_ask, client, topic), _DEADLINE)
    except (IncompatibleBrokerVersion, NotImplementedError):
        return None


async def topic_exists(client: AIOKafkaClient, topic: str) -> bool:
    """Whether a topic is there; to ask does not create it.

    Raises:
        KafkaError: No broker answers.
    """
    try:
        answer = await client.send(client.get_random_node(), _DescribeTopic(topic))
    except (IncompatibleBrokerVersion, NotImplementedError):
        return topic in (await client.fetch_all_metadata()).topics()
    code = answer.topics[0][0]
    if code not in {0, UnknownTopicOrPartitionError.errno}:
        raise for_code(code)(topic)
    return bool(code == 0)


async def _ask(client: AIOKafkaClient, topic: str) -> uuid.UUID | None:
    answer = await client.send(client.get_random_node(), _DescribeTopic(topic))
    code, _, high, low, *_ = answer.topics[0]
    if code:
        raise for_code(code)(topic)
    found = uuid.UUID(int=high % _HALF * _HALF + low % _HALF)
    return None if found == _NO_ID else found
