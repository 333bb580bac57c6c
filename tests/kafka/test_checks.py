"""Checks of what a cluster answers: what fits, what does not, and what cannot be told. No broker."""

import logging
from dataclasses import replace
from typing import Any

import pytest
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    IncompatibleBrokerVersion,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

from schemas.errors import KafkaRefusalError, TopicsError
from schemas.streams.records import STREAMS
from schemas.topics import TopicNames
from streams.kafka.checks.all import check_cluster
from streams.kafka.checks.cluster import check_clock, check_version
from streams.kafka.checks.enforcing import enforce, refusal_of_cluster
from streams.kafka.checks.findings import Finding, Status, worst
from streams.kafka.checks.look import Look, TopicLook
from streams.kafka.checks.operations import Operation, operations_of
from streams.kafka.checks.topics import check_configs, check_presence
from streams.kafka.connection import KafkaConnection

NAMES = TopicNames("app", "own.")
IMAGES = NAMES.changelog("images")
HOUR = 3600.0
ALL = frozenset(Operation)
HEALTHY = Look(
    topics={name: TopicLook(4, ALL) for name in NAMES.configs},
    configs={
        name: {
            "retention.ms": "604800000",
            "retention.bytes": "-1",
            "message.timestamp.after.max.ms": "3600000",
        }
        | config
        for name, config in NAMES.configs.items()
    },
    group=ALL,
    ahead=(0.01, 0.001),
)


def findings(look: Look) -> list[Finding]:
    return list(check_cluster(look, NAMES, 4, KafkaConnection()))


def faults(look: Look) -> list[Finding]:
    return [finding for finding in findings(look) if finding.status != "ok"]


def with_config(topic: str, **values: str) -> Look:
    """A cluster that is healthy but for one topic; `cleanup_policy` stands for cleanup.policy."""
    changed = {name.replace("_", "."): value for name, value in values.items()}
    return replace(HEALTHY, configs={**HEALTHY.configs, topic: {**HEALTHY.configs[topic], **changed}})


def without(*topics: str, filled: tuple[str, ...] = ()) -> Look:
    kept = {name: topic for name, topic in HEALTHY.topics.items() if name not in topics}
    configs = {name: HEALTHY.configs[name] for name in kept}
    return replace(HEALTHY, topics=kept, configs=configs, filled=frozenset(filled))


def test_topics_as_workers_create_them_are_healthy() -> None:
    """Every check says so, with a value and a rule."""
    found = findings(HEALTHY)
    assert {finding.status for finding in found} == {"ok"}
    assert all(finding.value and finding.rule for finding in found)
    assert len({finding.check for finding in found}) == len(found) == 8


@pytest.mark.parametrize("status", ["warn", "fail"])
def test_what_is_wrong_has_a_cure(status: Status) -> None:
    """A finding without one cannot be made."""
    with pytest.raises(ValueError, match="needs a cure"):
        Finding("disk", status, "0 GiB", "room")


def test_the_gravest_status_counts() -> None:
    """Nothing at all is fine."""
    bad = [Finding("a", "warn", "1", "2", "more"), Finding("b", "fail", "1", "2", "more")]
    assert worst([Finding("c", "ok", "1", "1"), *bad]) == "fail"
    assert worst(bad[:1]) == "warn"
    assert worst([]) == "ok"


@pytest.mark.parametrize(
    ("versions", "status", "value"),
    [
        ({0: 12, 65: 0, 11: 9}, "ok", "Kafka 4.0 or newer"),
        ({0: 9, 65: 0, 11: 7}, "ok", "Kafka 3.0 or newer"),
        ({0: 8, 11: 7}, "warn", "Kafka 2.3 or newer, before 3.0"),
        ({0: 7, 11: 4}, "fail", "Kafka before 2.3"),
        ({}, "fail", "Kafka before 2.3"),
    ],
)
def test_the_release_follows_from_the_requests_that_it_knows(
    versions: dict[int, int], status: str, value: str
) -> None:
    """Brokers tell no version."""
    found = check_version(versions)
    assert (found.status, found.value) == (status, value)


@pytest.mark.parametrize(
    ("ahead", "doubt", "status"),
    [
        (0.5, 0.1, "ok"),
        (-9.0, 0.1, "ok"),
        (11.0, 2.0, "ok"),  # it may be 9
        (11.0, 0.1, "warn"),
        (-30 * HOUR, 0.1, "warn"),  # brokers take records of the past
        (1.1 * HOUR, 0.1, "fail"),
        (HOUR, 11.0, "warn"),  # nobody knows
    ],
)
def test_a_clock_is_compared_as_well_as_can_be(ahead: float, doubt: float, status: str) -> None:
    """The time that the question took is the doubt; what Kafka would refuse is a fault."""
    found = check_clock(replace(HEALTHY, ahead=(ahead, doubt)))
    assert found.status == status
    assert ("behind" if ahead < 0 else "ahead of") in found.value


def test_how_far_ahead_a_clock_may_be_topics_say() -> None:
    """The strictest one counts; one that takes the broker's time does not mind."""
    look = replace(with_config(IMAGES, message_timestamp_after_max_ms="60000"), ahead=(120.0, 0.1))
    assert check_clock(look).status == "fail"
    look = replace(
        with_config(IMAGES, message_timestamp_after_max_ms="60000", message_timestamp_type="LogAppendTime"),
        ahead=(120.0, 0.1),
    )
    assert check_clock(look).status == "warn"


@pytest.mark.parametrize("error", [ClusterAuthorizationFailedError(), IncompatibleBrokerVersion()])
def test_a_clock_that_cannot_be_told_is_a_warning(error: Exception) -> None:
    """It says how to compare by hand, and what to grant where that helps."""
    [found] = faults(replace(HEALTHY, ahead=error))
    assert (found.check, found.status, found.value) == ("clock", "warn", "not known")
    assert "date -u" in found.cure
    assert ("grant" in found.cure) == isinstance(error, ClusterAuthorizationFailedError)


@pytest.mark.parametrize(
    ("policy", "retention", "status"),
    [
        ("delete", "604800000", "fail"),
        ("compact,delete", "604800000", "fail"),
        ("compact,delete", "-1", "ok"),  # nothing is ever deleted
        ("delete", "-1", "warn"),  # nor here, and nothing is compacted
        ("compact", "604800000", "ok"),
    ],
)
def test_state_must_not_be_deleted(policy: str, retention: str, status: str) -> None:
    """Rows are kept until they are replaced; what deletes them by age would make counts wrong."""
    look = with_config(IMAGES, cleanup_policy=policy, retention_ms=retention)
    found = [finding for finding in check_configs(look, NAMES) if finding.check == "cleanup.policy"]
    assert [finding.status for finding in found] == [status]
    if status != "ok":
        cure = f"kafka-configs.sh --alter --topic {IMAGES} --add-config cleanup.policy=compact"
        assert found[0].cure == cure


def test_uploads_should_not_be_compacted() -> None:
    """One of the same key could remove another before it was read."""
    [found] = faults(with_config(NAMES.uploads, cleanup_policy="compact"))
    assert (found.check, found.status) == ("cleanup.policy", "warn")


def test_removals_should_outlive_snapshots() -> None:
    """A worker refuses to start where rows that are gone could come back; less is a setting."""
    [found] = faults(with_config(IMAGES, delete_retention_ms="86400000"))
    assert (found.check, found.status) == ("delete.retention.ms", "fail")
    assert "away for more than 24 h" in found.rule
    assert "--add-config delete.retention.ms=604800000, or set TAGSTREAM_KEEP_TOMBSTONES=1" in found.cure
    told = replace(NAMES, keep_tombstones=1.0)
    look = with_config(IMAGES, delete_retention_ms="86400000")
    assert [each.status for each in check_configs(look, told) if each.check == "delete.retention.ms"] == [
        "ok"
    ]


def test_our_topics_take_our_largest_records() -> None:
    """The upload topic takes the largest event: it may have to be forwarded."""
    [found] = faults(with_config(NAMES.dead_letters, max_message_bytes="1048588"))
    assert (found.check, found.status) == ("max.message.bytes", "fail")
    assert "too small, records may have 4194304 bytes" in found.sentence
    [found] = faults(with_config(NAMES.uploads, max_message_bytes="1048588"))
    assert "too small, records may have 1572864 bytes" in found.sentence
    assert faults(with_config(NAMES.uploads, max_message_bytes="1572864")) == []


def test_uploads_of_the_far_future_are_a_warning() -> None:
    """Unless the broker's time is taken."""
    never = str(2**63 - 1)
    [found] = faults(with_config(NAMES.uploads, message_timestamp_after_max_ms=never))
    assert (found.check, found.status) == ("message.timestamp", "warn")
    fine = with_config(
        NAMES.uploads, message_timestamp_after_max_ms=never, message_timestamp_type="LogAppendTime"
    )
    assert faults(fine) == []


def test_a_configuration_that_may_not_be_read_is_one_warning() -> None:
    """For all topics together, with what to grant."""
    look = replace(HEALTHY, configs={name: TopicAuthorizationFailedError() for name in NAMES.configs})
    [found] = faults(look)
    assert found.status == "warn"
    assert "grant DESCRIBE_CONFIGS" in found.cure


def test_partitions_are_all_the_same() -> None:
    """The cure names the setting where that is enough."""
    [found] = faults(replace(HEALTHY, topics={NAMES.uploads: TopicLook(2, ALL)}, configs={}))
    assert (found.check, found.status, found.value) == ("partitions", "fail", f"{NAMES.uploads}=2")
    assert found.cure.startswith(
        f"set TAGSTREAM_PARTITIONS=2, or set TAGSTREAM_UPLOADS_TOPICS={NAMES.uploads}"
    )
    odd = {**HEALTHY.topics, IMAGES: TopicLook(5, ALL)}
    [found] = faults(replace(HEALTHY, topics=odd))
    assert found.cure.startswith("recreate these topics")


@pytest.mark.parametrize(
    ("gone", "filled", "status"),
    [
        (tuple(NAMES.configs), (), "ok"),
        ((IMAGES,), (), "ok"),
        ((IMAGES,), (NAMES.changelog("meta"),), "fail"),
        ((NAMES.uploads,), (IMAGES,), "fail"),
        ((NAMES.tag_updates,), (IMAGES,), "warn"),
        ((NAMES.tag_updates,), (), "ok"),
    ],
)
def test_nothing_is_created_in_the_place_of_what_was_lost(
    gone: tuple[str, ...], filled: tuple[str, ...], status: str
) -> None:
    """State beside state that is gone, or without the uploads that it has counted, is not gone on with."""
    found = check_presence(without(*gone, filled=filled), NAMES)
    assert found.status == status
    assert "will be created" in found.value if status == "ok" else gone[0] in found.value


def test_a_stream_that_is_turned_on_is_created_beside_state() -> None:
    """Nothing was lost by that: it is filled with what there is."""
    found = check_presence(without(filled=(IMAGES,)), replace(NAMES, streams=STREAMS))
    assert (found.status, "will be created" in found.value) == ("ok", True)


def test_operations_that_are_missing_are_named() -> None:
    """What a worker does with each kind of topic, and no more."""
    read, write = (
        frozenset({Operation.READ, Operation.DESCRIBE}),
        frozenset({Operation.WRITE, Operation.DESCRIBE}),
    )
    enough = {NAMES.tag_updates: write, NAMES.categorizations: write}
    topics = {name: TopicLook(4, enough.get(name, ALL)) for name in NAMES.configs}
    assert faults(replace(HEALTHY, topics=topics)) == []
    lacking = {**topics, IMAGES: TopicLook(4, read), NAMES.dead_letters: TopicLook(4, read)}
    [found] = faults(replace(HEALTHY, topics=lacking))
    assert found.value == "Kafka refuses this client to WRITE"
    assert f"'{NAMES.dead_letters}'" in found.cure
    assert f"'{IMAGES}'" in found.cure


@pytest.mark.parametrize("bits", [0, -(2**31), 1 << 3])
def test_operations_that_no_broker_could_mean_are_not_told(bits: int) -> None:
    """Brokers of other makers fill something in; a worker that works today is not refused for it."""
    assert operations_of(bits) is None
    topics = {name: TopicLook(4, operations_of(bits)) for name in NAMES.configs}
    assert faults(replace(HEALTHY, topics=topics, group=None)) == []


def test_group_and_transactions_are_needed() -> None:
    """Each with its own grant; a coordinator that is not there is only a warning: workers wait for it."""
    denied = replace(
        HEALTHY, group=GroupAuthorizationFailedError(), transactions=TransactionalIdAuthorizationFailed()
    )
    found = faults(denied)
    assert [finding.status for finding in found] == ["fail", "fail"]
    assert ["group" in finding.cure for finding in found] == [True, False]
    assert [f.status for f in faults(replace(HEALTHY, group=frozenset({Operation.DESCRIBE})))] == ["fail"]
    away = GroupCoordinatorNotAvailableError()
    found = faults(replace(HEALTHY, group=away, transactions=away))
    assert [(finding.check, finding.status) for finding in found] == [("coordinators", "warn")] * 2


def test_a_worker_warns_and_refuses(caplog: pytest.LogCaptureFixture) -> None:
    """One line per warning, one per fault; the first fault is what it ends with."""
    look = replace(
        with_config(IMAGES, cleanup_policy="delete", delete_retention_ms="1"),
        group=GroupAuthorizationFailedError(),
    )
    with pytest.raises(KafkaRefusalError, match="grant READ on group 'app'"):
        enforce(findings(look), refusal_of_cluster)
    lines = [(entry.levelno, entry.getMessage()) for entry in caplog.records]
    assert [level for level, _ in lines] == [logging.ERROR]
    assert "it deletes rows of the state" in lines[0][1]
    with pytest.raises(TopicsError, match=r"cleanup\.policy=delete: it deletes rows"):
        enforce(findings(with_config(IMAGES, cleanup_policy="delete")), refusal_of_cluster)


def test_a_clock_is_never_refused_at_the_start(caplog: pytest.LogCaptureFixture) -> None:
    """It may be the controller's; what brokers refuse ends the worker by itself."""
    enforce(findings(replace(HEALTHY, ahead=(30 * HOUR, 0.1))), refusal_of_cluster)
    assert [entry.levelno for entry in caplog.records] == [logging.WARNING]
    assert "ahead of the cluster's controller" in caplog.text


INPUTS = TopicNames("app", "own.", ("web", "mobile"))
COPIED = replace(
    HEALTHY,
    topics={name: TopicLook(4, ALL) for name in INPUTS.configs} | {"web": TopicLook(7, ALL)},
    configs={name: {"retention.bytes": "-1", **config} for name, config in INPUTS.configs.items()},
    repartition_group=ALL,
)


def copied(**changed: Any) -> list[Finding]:  # noqa: ANN401 - fields of a look
    found = check_cluster(replace(COPIED, **changed), INPUTS, 4, KafkaConnection())
    return [finding for finding in found if finding.status != "ok" and finding.check != "message.timestamp"]


def test_upload_topics_that_are_copied_have_any_number_of_partitions() -> None:
    """What they are copied to has that of the state."""
    assert copied() == []
    odd = {**COPIED.topics, INPUTS.upload_log: TopicLook(5, ALL)}
    [found] = copied(topics=odd)
    assert found.value == f"{INPUTS.upload_log}=5"


def test_upload_topics_are_read_and_their_group_is_joined() -> None:
    """Nothing is written to them; without READ on the group nothing would be copied."""
    only_read = {**COPIED.topics, "web": TopicLook(7, frozenset({Operation.READ, Operation.DESCRIBE}))}
    assert copied(topics=only_read) == []
    blind = {**COPIED.topics, "web": TopicLook(7, frozenset({Operation.DESCRIBE}))}
    [found] = copied(topics=blind)
    assert (found.check, found.value) == ("permissions", "Kafka refuses this client to READ")
    [found] = copied(repartition_group=frozenset({Operation.DESCRIBE}))
    assert found.cure == "grant READ on group 'app-repartition'"


def test_what_was_copied_is_deleted_in_time() -> None:
    """Without the permission the topic grows; the worker goes on."""
    kept = {**COPIED.topics, INPUTS.upload_log: TopicLook(4, ALL - {Operation.DELETE})}
    [found] = copied(topics=kept)
    assert (found.status, found.cure) == ("warn", f"grant DELETE on topic {INPUTS.upload_log!r}")
    assert (
        faults(
            replace(HEALTHY, topics={name: TopicLook(4, ALL - {Operation.DELETE}) for name in NAMES.configs})
        )
        == []
    )


@pytest.mark.parametrize("gone", ["web", INPUTS.upload_log, INPUTS.inputs_changelog])
def test_an_upload_topic_is_not_made_beside_state(gone: str) -> None:
    """Nor what they are copied to: the state has counted what they held."""
    kept = {name: topic for name, topic in COPIED.topics.items() if name != gone}
    [found] = copied(topics=kept, filled=frozenset({INPUTS.changelog("images")}))
    assert (found.check, found.status) == ("topics", "fail")
    assert gone in found.value


def test_nobody_starts_beside_a_rescale_or_copies_of_which_it_does_not_know() -> None:
    """The cure says how to go on."""
    [found] = faults(replace(HEALTHY, strangers=frozenset({NAMES.rescale})))
    assert (found.check, found.status) == ("rescale", "fail")
    assert "run it again" in found.cure
    [found] = faults(replace(HEALTHY, strangers=frozenset({NAMES.repartition})))
    assert (found.check, found.status) == ("topics", "fail")
    assert "TAGSTREAM_UPLOADS_TOPICS is not set" in found.value


SOURCES = TopicNames("app", "own.", sources=("minio",))
TRANSLATED = replace(
    HEALTHY,
    topics={name: TopicLook(4, ALL) for name in SOURCES.configs} | {"minio": TopicLook(9, ALL)},
    configs={name: {"retention.bytes": "-1", **config} for name, config in SOURCES.configs.items()},
    repartition_group=ALL,
)


def translated(**changed: Any) -> list[Finding]:  # noqa: ANN401 - fields of a look
    found = check_cluster(replace(TRANSLATED, **changed), SOURCES, 4, KafkaConnection())
    return [finding for finding in found if finding.status != "ok" and finding.check != "message.timestamp"]


def test_topics_of_sources_are_as_their_owners_want_them() -> None:
    """Any number of partitions, compacted, with small records: they are only read."""
    theirs = {"cleanup.policy": "compact", "max.message.bytes": "1000"}
    assert translated(configs={**TRANSLATED.configs, "minio": theirs}) == []
    only_read = frozenset({Operation.READ, Operation.DESCRIBE})
    assert translated(topics={**TRANSLATED.topics, "minio": TopicLook(9, only_read)}) == []


def test_sources_may_be_named_beside_state_that_is_there() -> None:
    """How far they are copied is a new topic then, which is created, with a word."""
    left = {name: look for name, look in TRANSLATED.topics.items() if name != SOURCES.inputs_changelog}
    [found] = translated(topics=left, filled=frozenset({SOURCES.changelog("images")}))
    assert (found.status, SOURCES.inputs_changelog in found.value) == ("warn", True)
