"""A broker that asks who comes and what they may: users with passwords, and access control lists.

The tests' own clients come by its plain listener and may do everything; workers come by the other one.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Int8, Int16, Int32, Schema, String
from support.chaos.run import steady_port

from schemas.topics import TABLES, TopicNames
from streams.cli.local.embedded_broker import EmbeddedBroker

TOPIC, GROUP, CLUSTER, TRANSACTIONAL_ID = 2, 3, 4, 5  # Kafka's ResourceType
READ, WRITE, CREATE, DESCRIBE, DESCRIBE_CONFIGS = 3, 4, 5, 8, 10  # Kafka's AclOperation
_LITERAL, _PREFIXED = 3, 4  # Kafka's PatternType
_ALLOW = 3


class Permission(NamedTuple):
    """What a user may do with all resources whose names begin like this."""

    resource: int
    prefix: str
    operation: int


class _CreateAclsResponse(Response):
    API_KEY, API_VERSION = 30, 1
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("results", Array(("error_code", Int16), ("error_message", String("utf-8")))),
    )


class _CreateAclsRequestV1(RequestStruct):
    API_KEY, API_VERSION = 30, 1
    RESPONSE_TYPE = _CreateAclsResponse
    SCHEMA = Schema(
        (
            "creations",
            Array(
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
                ("resource_pattern_type", Int8),
                ("principal", String("utf-8")),
                ("host", String("utf-8")),
                ("operation", Int8),
                ("permission_type", Int8),
            ),
        )
    )


class _CreateAclsRequest(Request[_CreateAclsRequestV1]):
    API_KEY = 30

    def __init__(self, creations: list[tuple[Any, ...]]) -> None:
        self._creations = creations

    def build(self, request_struct_class: type[_CreateAclsRequestV1]) -> _CreateAclsRequestV1:
        return request_struct_class(self._creations)


def secure_broker(data_dir: Path, secure_port: int, users: Mapping[str, str]) -> EmbeddedBroker:
    """A broker that listens for the tests at its port, and for users with passwords at `secure_port`."""
    port, controller_port = steady_port(), steady_port()
    module = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    passwords = " ".join(f'user_{name}="{password}"' for name, password in users.items())
    listeners = f"PLAINTEXT://127.0.0.1:{port},SASL_PLAINTEXT://127.0.0.1:{secure_port}"
    plain = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"
    properties = {
        "listeners": f"{listeners},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": listeners,
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": f"{plain},SASL_PLAINTEXT:SASL_PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.sasl_plaintext.plain.sasl.jaas.config": f"{module} {passwords};",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
    }
    return EmbeddedBroker(data_dir, port, properties=properties)


def _pattern(resource: int, prefix: str) -> int:
    return _PREFIXED if prefix and resource != CLUSTER else _LITERAL


async def allow(bootstrap: str, user: str, permissions: Iterable[Permission]) -> None:
    """Let a user do these things."""
    creations = [
        (resource, prefix or "*", _pattern(resource, prefix), f"User:{user}", "*", operation, _ALLOW)
        for resource, prefix, operation in permissions
    ]
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        answer = await admin._send_request(_CreateAclsRequest(creations))
        assert [result[0] for result in answer.results] == [0] * len(creations), answer
    finally:
        await admin.close()


def needed_to_follow(names: TopicNames) -> set[Permission]:
    """What docs/operations.md says that a worker with the role `query` alone must be granted."""
    known = {Permission(TOPIC, name, what) for name in names.configs for what in (DESCRIBE, DESCRIBE_CONFIGS)}
    return known | {Permission(TOPIC, names.changelog(table), READ) for table in TABLES}


def needed(names: TopicNames) -> set[Permission]:
    """What docs/operations.md says that a worker must be granted, for topics that exist."""
    topics = {Permission(TOPIC, name, what) for name in names.configs for what in (READ, WRITE, DESCRIBE)}
    topics |= {Permission(TOPIC, name, DESCRIBE_CONFIGS) for name in names.configs}
    topics.add(Permission(TOPIC, names.rescale, DESCRIBE))
    transactions = {Permission(TRANSACTIONAL_ID, names.app_id, what) for what in (WRITE, DESCRIBE)}
    return topics | transactions | {Permission(GROUP, names.app_id, READ)}
