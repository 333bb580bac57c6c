"""What the broker decided about the last transaction of a transactional id.

aiokafka has no such request; this is Kafka's DescribeTransactions, version 0 (KIP-664).
"""

import asyncio
import functools

from aiokafka import errors
from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.transaction import InitProducerIdRequest
from aiokafka.protocol.types import (
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

from streams.kafka.faults import patiently

_DEADLINE = 60.0  # seconds; a coordinator that loads its log takes a few
_ASK_INTERVAL = 0.01  # seconds until it is asked again what is being decided
_TIMEOUT_MS = 60_000  # of a transaction that is never opened
_UNDECIDED = {"Ongoing", "PrepareEpochFence"}
_UNKNOWN_ID = 105  # TRANSACTIONAL_ID_NOT_FOUND: aiokafka has no class for it


class _Answer(Response):  # type: ignore[misc]  # aiokafka is untyped here
    API_KEY = 65
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "states",
            CompactArray(
                ("error_code", Int16),
                ("transactional_id", CompactString("utf-8")),
                ("state", CompactString("utf-8")),
                ("timeout_ms", Int32),
                ("start_time_ms", Int64),
                ("producer_id", Int64),
                ("producer_epoch", Int16),
                (
                    "topics",
                    CompactArray(
                        ("topic", CompactString("utf-8")),
                        ("partitions", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _Question(RequestStruct):  # type: ignore[misc]  # aiokafka is untyped here
    FLEXIBLE_VERSION = True
    API_KEY = 65
    API_VERSION = 0
    RESPONSE_TYPE = _Answer
    SCHEMA = Schema(("transactional_ids", CompactArray(CompactString("utf-8"))), ("tags", TaggedFields))


class _Describe(Request[_Question]):  # type: ignore[misc]  # aiokafka is untyped here
    API_KEY = 65

    def __init__(self, transactional_id: str) -> None:
        self._id = transactional_id

    def build(self, request_struct_class: type[_Question]) -> _Question:
        return request_struct_class([self._id], {})


async def was_committed(client: AIOKafkaClient, transactional_id: str) -> bool:
    """Whether the id's last transaction was to be committed. Ask before its producer starts.

    Where it is open still, whoever opened it might commit it the moment after: so it is fenced here, and
    asked about again until it is decided. False: it was aborted, or will be, or there was none, or the
    broker, older than Kafka 3.0, cannot say.

    Raises:
        KafkaError: The coordinator refuses or does not answer.
    """
    try:
        state = await patiently(functools.partial(_decided_state, client, transactional_id), _DEADLINE)
    except errors.IncompatibleBrokerVersion:
        return False
    except errors.TransactionalIdAuthorizationFailed as error:
        raise errors.TransactionalIdAuthorizationFailed(transactional_id) from error
    return state in {"PrepareCommit", "CompleteCommit"}


async def _decided_state(client: AIOKafkaClient, transactional_id: str) -> str:
    while (state := await _state(client, transactional_id)) in _UNDECIDED:
        await _fence(client, transactional_id)
        await asyncio.sleep(_ASK_INTERVAL)
    return state


async def _fence(client: AIOKafkaClient, transactional_id: str) -> None:
    """Have the coordinator abort what is open, unless its producer ends it before that."""
    coordinator = await client.coordinator_lookup(CoordinationType.TRANSACTION, transactional_id)
    question = InitProducerIdRequest(transactional_id=transactional_id, transaction_timeout_ms=_TIMEOUT_MS)
    answer = await client.send(coordinator, question, group=ConnectionGroup.COORDINATION)
    error = errors.for_code(answer.error_code)
    if error not in {errors.NoError, errors.ConcurrentTransactions}:  # the latter: it is being aborted
        raise error(f"the fence of transactional id {transactional_id}")


async def _state(client: AIOKafkaClient, transactional_id: str) -> str:
    coordinator = await client.coordinator_lookup(CoordinationType.TRANSACTION, transactional_id)
    answer = await client.send(coordinator, _Describe(transactional_id), group=ConnectionGroup.COORDINATION)
    code, _, state, *_ = answer.states[0]
    if code == _UNKNOWN_ID:
        return "Empty"
    if code:
        raise errors.for_code(code)(f"the state of transactional id {transactional_id}")
    return str(state)
