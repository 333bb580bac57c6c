"""The topics of a rescale: what there is, the marker beside which no worker starts, and more partitions."""

import asyncio
import time
from collections.abc import Collection, Mapping

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code

from schemas.errors import TopicsError
from schemas.topics import TopicNames
from streams.kafka.admin import partition_counts

_PATIENCE = 30.0  # seconds; a static member that has ended is remembered for six
_PAUSE = 0.2
_CREATION_MS = 30_000


def checked_counts(counts: Mapping[str, int], names: TopicNames, wanted: int) -> dict[str, int]:
    """The topics that are to have as many partitions as the state, with those that they have now.

    Raises:
        TopicsError: They cannot get so many, or another rescale is unfinished.
    """
    begun = counts.get(names.rescale)
    if begun is not None and begun != wanted:
        fault = f"a rescale to {begun} partitions is unfinished (topic {names.rescale} is there)"
        raise TopicsError(f"{fault}, so none to {wanted} can begin; run it with --partitions {begun}")
    if missing := [name for name in names.configs if name not in counts]:
        cure = "start `tagstream worker` once, which creates it, or say --app-id and --topic-prefix as it has"
        raise TopicsError(f"topic {missing[0]} is missing; {cure}")
    evenly = (set(names.configs) - set(names.copied)) | (
        {*names.webhook_configs, *names.trend_configs} & set(counts)
    )
    found = {name: counts[name] for name in sorted(evenly)}
    if most := next((name for name, count in found.items() if count > wanted), None):
        rule = "Kafka cannot take partitions away"
        raise TopicsError(
            f"topic {most} has {found[most]} partitions, {wanted} are asked for: {rule}; name more"
        )
    if begun is None and set(found.values()) == {wanted}:
        raise TopicsError(f"all topics have {wanted} partitions already: there is nothing to do; name more")
    return found


async def require_idle(admin: AIOKafkaAdminClient, groups: Collection[str]) -> None:
    """Make sure that no worker is at work; one that has just ended is waited for.

    Raises:
        TopicsError: A group has members.
    """
    deadline = time.monotonic() + _PATIENCE
    while members := await _members(admin, groups):
        if time.monotonic() > deadline:
            group, count = next(iter(members.items()))
            rule = "the state is moved while nobody works on it"
            raise TopicsError(
                f"group {group} has {count} members: {rule}; stop the workers, and run it again"
            )
        await asyncio.sleep(_PAUSE)


async def _members(admin: AIOKafkaAdminClient, groups: Collection[str]) -> dict[str, int]:
    found = {}
    for name in groups:  # one by one: aiokafka cannot read an answer about several
        (answer,) = await admin.describe_consumer_groups([name])
        (group,) = answer.to_object()["groups"]
        if group["members"]:
            found[name] = len(group["members"])
    return found


async def mark(admin: AIOKafkaAdminClient, names: TopicNames, wanted: int) -> bool:
    """Make the topic that keeps workers from starting; whether it was not there.

    Raises:
        KafkaError: The broker refuses.
    """
    answer = await admin.create_topics([NewTopic(names.rescale, wanted, 1)])
    _, code, *_ = answer.topic_errors[0]
    if code not in {0, TopicAlreadyExistsError.errno}:
        raise for_code(code)(names.rescale)
    return bool(code == 0)


async def unmark(admin: AIOKafkaAdminClient, names: TopicNames) -> None:
    """Delete that topic, and wait until it is gone."""
    answer = await admin.delete_topics([names.rescale])
    for _, code, *_ in answer.topic_error_codes:
        if code not in {0, UnknownTopicOrPartitionError.errno}:
            raise for_code(code)(names.rescale)
    deadline = time.monotonic() + _PATIENCE
    while names.rescale in await partition_counts(admin):
        if time.monotonic() > deadline:
            raise TopicsError(
                f"topic {names.rescale} is not gone {_PATIENCE:g} s after its deletion; delete it"
            )
        await asyncio.sleep(_PAUSE)


async def grow(
    admin: AIOKafkaAdminClient, found: Mapping[str, int], wanted: int, *, rehearse: bool = False
) -> None:
    """Give topics so many partitions, or only ask whether they could get them.

    Raises:
        TopicsError: The broker refuses.
    """
    fewer = {name: NewPartitions(wanted) for name, count in found.items() if count < wanted}
    if fewer:
        answer = await admin.create_partitions(fewer, timeout_ms=_CREATION_MS, validate_only=rehearse)
        for name, code, message, *_ in answer.topic_errors:
            if code:
                cure = "grant ALTER on it, or add its partitions yourself, and run it again"
                fault = (
                    f"topic {name} cannot get {wanted} partitions: {for_code(code).__name__} {message or ''}"
                )
                raise TopicsError(f"{fault.rstrip()}; {cure}")


async def until_grown(admin: AIOKafkaAdminClient, topics: Collection[str], wanted: int) -> None:
    """Wait until topics have so many partitions, each with a leader.

    Raises:
        TopicsError: They do not in time.
    """
    deadline = time.monotonic() + _PATIENCE
    while not await _have_leaders(admin, topics, wanted):
        if time.monotonic() > deadline:
            raise TopicsError(f"not all topics have {wanted} partitions with a leader; look at the brokers")
        await asyncio.sleep(_PAUSE)


async def _have_leaders(admin: AIOKafkaAdminClient, topics: Collection[str], wanted: int) -> bool:
    return all(
        len(topic["partitions"]) == wanted and all(each["leader"] >= 0 for each in topic["partitions"])
        for topic in await admin.describe_topics(list(topics))
    )
