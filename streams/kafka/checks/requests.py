"""Requests that aiokafka lacks: who may do what, and what time it is at the cluster. They change nothing."""

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Array,
    Boolean,
    Bytes,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    String,
    TaggedFields,
)

_TEXT, _COMPACT = String("utf-8"), CompactString("utf-8")


class _MetadataAnswer(Response):  # type: ignore[misc]  # aiokafka is untyped here
    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", Array(("node_id", Int32), ("host", _TEXT), ("port", Int32), ("rack", _TEXT))),
        ("cluster_id", _TEXT),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", _TEXT),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("cluster_authorized_operations", Int32),
    )


class _MetadataQuestion(RequestStruct):  # type: ignore[misc]  # aiokafka is untyped here
    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = _MetadataAnswer
    SCHEMA = Schema(
        ("topics", Array(_TEXT)),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class DescribeAllTopics(Request[_MetadataQuestion]):  # type: ignore[misc]  # aiokafka is untyped here
    """All topics that we may see, each with the operations that we may do (Metadata 8, Kafka 2.3)."""

    API_KEY = 3

    def build(self, request_struct_class: type[_MetadataQuestion]) -> _MetadataQuestion:
        """The request. A null list means all; it names none, so that no broker creates one."""
        return request_struct_class(None, False, False, True)


class _GroupAnswer(Response):  # type: ignore[misc]  # aiokafka is untyped here
    API_KEY = 15
    API_VERSION = 3
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "groups",
            Array(
                ("error_code", Int16),
                ("group", _TEXT),
                ("state", _TEXT),
                ("protocol_type", _TEXT),
                ("protocol", _TEXT),
                (
                    "members",
                    Array(
                        ("member_id", _TEXT),
                        ("client_id", _TEXT),
                        ("client_host", _TEXT),
                        ("member_metadata", Bytes),
                        ("member_assignment", Bytes),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
    )


class _GroupQuestion(RequestStruct):  # type: ignore[misc]  # aiokafka is untyped here
    API_KEY = 15
    API_VERSION = 3
    RESPONSE_TYPE = _GroupAnswer
    SCHEMA = Schema(("groups", Array(_TEXT)), ("include_authorized_operations", Boolean))


class DescribeGroup(Request[_GroupQuestion]):  # type: ignore[misc]  # aiokafka is untyped here
    """A group, with the operations that we may do (DescribeGroups 3, Kafka 2.3).

    aiokafka's own request of this version reads the answer as one of version 2, without the operations.
    """

    API_KEY = 15

    def __init__(self, group: str) -> None:
        self._group = group

    def build(self, request_struct_class: type[_GroupQuestion]) -> _GroupQuestion:
        """The request."""
        return request_struct_class([self._group], True)


_REPLICAS = CompactArray(
    ("replica_id", Int32),
    ("log_end_offset", Int64),
    ("last_fetch_timestamp", Int64),
    ("last_caught_up_timestamp", Int64),
    ("tags", TaggedFields),
)


class _QuorumAnswer(Response):  # type: ignore[misc]  # aiokafka is untyped here
    API_KEY = 55
    API_VERSION = 1
    SCHEMA = Schema(
        ("error_code", Int16),
        (
            "topics",
            CompactArray(
                ("topic", _COMPACT),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("error_code", Int16),
                        ("leader_id", Int32),
                        ("leader_epoch", Int32),
                        ("high_watermark", Int64),
                        ("voters", _REPLICAS),
                        ("observers", _REPLICAS),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _QuorumQuestion(RequestStruct):  # type: ignore[misc]  # aiokafka is untyped here
    FLEXIBLE_VERSION = True
    API_KEY = 55
    API_VERSION = 1
    RESPONSE_TYPE = _QuorumAnswer
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(
                ("topic", _COMPACT),
                ("partitions", CompactArray(("partition", Int32), ("tags", TaggedFields))),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class DescribeQuorum(Request[_QuorumQuestion]):  # type: ignore[misc]  # aiokafka is untyped here
    """The controllers of a cluster (DescribeQuorum 1, Kafka 3.3); the leading one tells its time."""

    API_KEY = 55

    def build(self, request_struct_class: type[_QuorumQuestion]) -> _QuorumQuestion:
        """The request: partition 0 of the topic that the controllers write."""
        return request_struct_class([("__cluster_metadata", [(0, {})], {})], {})
