"""Checks of permissions: what a worker is about to do, and whether the broker would let it."""

from collections.abc import Iterator

from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaError,
    TransactionalIdAuthorizationFailed,
)

from schemas.topics import TABLES, TopicNames
from streams.kafka.checks.findings import Finding
from streams.kafka.checks.look import Look
from streams.kafka.checks.operations import Operation
from streams.kafka.connection import KafkaConnection
from streams.kafka.faults import GRANTS, asker

PERMISSIONS = "permissions"


def check_permissions(
    look: Look, names: TopicNames, connection: KafkaConnection, *, tags: bool = True, publishes: bool = False
) -> list[Finding]:
    """Whether a worker may do its work with the topics that are there, its group and its transactions.

    One that does not tag reads the state: it needs neither group nor transactions. A gateway
    also writes upload events, and reads dead letters.
    """
    who = asker(connection)
    findings = list(_topics(look, names, who, tags=tags, publishes=publishes))
    if tags:
        findings += [*_group(look, names, who), *_transactions(look, names, who), *_purge(look, names, who)]
    fine = Finding(PERMISSIONS, "ok", f"{who} may do what a worker does", _listed(look, tags=tags))
    return findings or [fine]


def _listed(look: Look, *, tags: bool) -> str:
    told = sum(topic.operations is not None for topic in look.topics.values())
    return f"operations on topics (told of {told})" + (", the group, transactional ids" if tags else "")


def _topics(look: Look, names: TopicNames, who: str, *, tags: bool, publishes: bool) -> Iterator[Finding]:
    lacks: dict[str, list[str]] = {}
    for name, topic in look.topics.items():
        if topic.operations is not None:
            needed = _needed(names, name) if tags else _followed(names, name)
            needed |= _published(names, name) if publishes else set()
            for operation in sorted(needed - topic.operations):
                lacks.setdefault(operation.name, []).append(name)
    for lacking, topics in lacks.items():
        listing = ", ".join(map(repr, topics))
        grant = "READ, WRITE and DESCRIBE" if tags or publishes else "READ and DESCRIBE"
        yield Finding(
            PERMISSIONS,
            "fail",
            f"Kafka refuses {who} to {lacking}",
            f"a worker must do so on topic {listing}",
            f"grant {grant} on topic {listing}",
        )


def _needed(names: TopicNames, topic: str) -> set[Operation]:
    outputs = set(names.outputs)
    if topic in names.copied:
        return {Operation.READ}
    return {Operation.WRITE} if topic in outputs else {Operation.READ, Operation.WRITE}


def _followed(names: TopicNames, topic: str) -> set[Operation]:
    return {Operation.READ} if topic in set(map(names.changelog, TABLES)) else {Operation.DESCRIBE}


def _published(names: TopicNames, topic: str) -> set[Operation]:
    needed = {names.upload_log: {Operation.READ}} if names.inputs else {}
    needed |= {names.uploads: {Operation.WRITE}, names.dead_letters: {Operation.READ}}
    return needed.get(topic, set())


def _purge(look: Look, names: TopicNames, who: str) -> Iterator[Finding]:
    """What was copied is deleted once it is folded in: without that it stays, and all goes on."""
    topic = look.topics.get(names.upload_log) if names.inputs else None
    if topic and topic.operations is not None and Operation.DELETE not in topic.operations:
        value = f"Kafka refuses {who} to DELETE"
        rule = f"records of topic {names.upload_log!r} that are folded in are deleted, or it grows for ever"
        yield Finding(PERMISSIONS, "warn", value, rule, f"grant DELETE on topic {names.upload_log!r}")


def _group(look: Look, names: TopicNames, who: str) -> Iterator[Finding]:
    yield from _member(look.group, names.app_id, who)
    if names.copied:
        yield from _member(look.repartition_group, names.repartition_group, who)


def _member(found: frozenset[Operation] | KafkaError | None, name: str, who: str) -> Iterator[Finding]:
    group = f"group {name!r}"
    denied = isinstance(found, GroupAuthorizationFailedError)
    if denied or (isinstance(found, frozenset) and Operation.READ not in found):
        rule, cure = (
            f"workers are members of {group}",
            f"grant {GRANTS[GroupAuthorizationFailedError]} {name!r}",
        )
        yield Finding(PERMISSIONS, "fail", f"Kafka refuses {who} to READ {group}", rule, cure)
    elif isinstance(found, KafkaError):
        yield _uncoordinated(group, found)


def _transactions(look: Look, names: TopicNames, who: str) -> Iterator[Finding]:
    about = f"transactional id '{names.app_id}-' and what begins so"
    if isinstance(look.transactions, TransactionalIdAuthorizationFailed):
        value = f"Kafka refuses {who} to WRITE under its {about}"
        cure = f"grant {GRANTS[TransactionalIdAuthorizationFailed]} '{names.app_id}-', as a prefix"
        yield Finding(PERMISSIONS, "fail", value, "a worker commits by transactions", cure)
    elif look.transactions is not None:
        yield _uncoordinated(about, look.transactions)


def _uncoordinated(about: str, error: KafkaError) -> Finding:
    cure = (
        "look at the broker's log: a cluster with fewer brokers than offsets.topic.replication.factor or "
        "transaction.state.log.replication.factor has no coordinator"
    )
    value = f"no answer about {about}: {type(error).__name__}"
    return Finding("coordinators", "warn", value, "a worker waits until a broker coordinates it", cure)
