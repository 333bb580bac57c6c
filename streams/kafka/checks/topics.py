"""Checks of topics: which are there, their partitions, and the configuration that a worker relies on."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from schemas.topics import MAX_FORWARDED_BYTES, MAX_RECORD_BYTES, TABLES, TopicNames
from streams.kafka.checks.findings import Finding
from streams.kafka.checks.look import Look

_Configs = Mapping[str, Mapping[str, str]]

_SIZE, _CLEANUP = "max.message.bytes", "cleanup.policy"
_TYPE, _AHEAD = "message.timestamp.type", "message.timestamp.after.max.ms"
_TIMESTAMP, _TOMBSTONES = "message.timestamp", "delete.retention.ms"
_DAY_MS = 86_400_000


def check_partitions(counts: Mapping[str, int], wanted: int, names: TopicNames | None = None) -> Finding:
    """Whether all topics have the number of partitions that the setting says.

    Args:
        counts: The number of each topic that is there.
        wanted: What the setting says.
        names: The deployment's topics: topics that are copied have as many as they like.
    """
    inputs = names.copied if names else ()
    rule = f"all topics need the same number of partitions, TAGSTREAM_PARTITIONS={wanted}"
    odd = {name: count for name, count in sorted(counts.items()) if count != wanted and name not in inputs}
    if not odd:
        return Finding("partitions", "ok", str(wanted) if counts else "no topics yet", rule)
    cure = "recreate these topics, or choose another app_id and topic_prefix"
    if names and set(odd) == {names.uploads}:
        cure = f"set TAGSTREAM_UPLOADS_TOPICS={names.uploads}, so that it may have any number, or {cure}"
    if len(odd) == len(counts) and len(set(odd.values())) == 1:
        cure = f"set TAGSTREAM_PARTITIONS={next(iter(odd.values()))}, or {cure}"
    listing = ", ".join(f"{name}={count}" for name, count in odd.items())
    return Finding("partitions", "fail", listing, rule, cure, f"{rule}, found {listing}; {cure}")


def check_presence(look: Look, names: TopicNames) -> Finding:
    """Whether what is missing may be created: never beside state that it would belong to."""
    rule = "topics that are missing are created, but never in the place of state that was lost"
    missing = [name for name in names.configs if name not in look.topics]
    if not missing:
        return Finding("topics", "ok", f"all {len(names.configs)}", rule)
    filled_anew = set(names.stream_topics.values())  # with all that there is: nothing is lost by it
    if not look.filled or filled_anew.issuperset(missing):
        value = f"{len(look.topics)} of {len(names.configs)}, the others will be created"
        return Finding("topics", "ok", value, rule)
    state = {*map(names.changelog, TABLES), *([names.inputs_changelog] if names.inputs else [])}
    if gone := [name for name in missing if name in state]:
        return _not_whole(gone, sorted(look.filled))
    if lost := [name for name in (names.upload_log, *names.uploads_topics) if name in missing]:
        return _uploads_lost(lost[0], names)
    rule = "what they held is lost to consumers; counts are right"
    cure = "restore them before a worker starts, or let it create them anew, empty"
    return Finding(
        "topics", "warn", f"{', '.join(missing)} missing beside state that holds records", rule, cure
    )


def _not_whole(gone: Sequence[str], kept: Sequence[str]) -> Finding:
    value = f"state topics {', '.join(gone)} are missing while {', '.join(kept)} hold records"
    cure = (
        "restore them, or delete the others too (the state begins anew from what the upload topic still "
        "holds), or choose a new app_id; if they are there, grant DESCRIBE on them"
    )
    return Finding("topics", "fail", value, "the state is not whole", cure)


def check_strangers(look: Look, names: TopicNames) -> Iterator[Finding]:
    """Whether topics are there beside which no worker may start."""
    if names.rescale in look.strangers:
        value, rule, cure = _being_moved(names)
        yield Finding("rescale", "fail", value, rule, cure)
    if names.repartition in look.strangers:
        value = f"topic {names.repartition} is there, and TAGSTREAM_UPLOADS_TOPICS is not set"
        rule = "the state was made of what was copied to it"
        cure = "name the upload topics again, or choose a new app_id; once nobody needs it, delete the topic"
        yield Finding("topics", "fail", value, rule, cure)


def being_moved(names: TopicNames) -> str:
    """A sentence that the state is being moved to more partitions, and the cure."""
    return "{}: {}; {}".format(*_being_moved(names))


def _being_moved(names: TopicNames) -> tuple[str, str, str]:
    return (
        f"topic {names.rescale} is there",
        "the state is being moved to more partitions, and is not whole before that has ended",
        "let `tagstream rescale` end, or run it again: it goes on where it was",
    )


def _uploads_lost(uploads: str, names: TopicNames) -> Finding:
    rule = "the state has counted records of it, and one that is made anew has fewer"
    cure = "restore it, or choose a new app_id; if it is there, grant DESCRIBE on it"
    if names.inputs and uploads != names.upload_log:
        rule = "it is made anew only where there is no state yet: a name that is wrong is not to make a topic"
        cure = (
            "restore or create it, or name others in TAGSTREAM_UPLOADS_TOPICS; if it is there, grant DESCRIBE"
        )
    elif names.inputs:
        cure = (
            "restore it, or choose a new app_id; unset TAGSTREAM_UPLOADS_TOPICS if the state was made without"
        )
    return Finding("topics", "fail", f"topic {uploads} is missing while the state holds records", rule, cure)


def check_configs(look: Look, names: TopicNames) -> Iterator[Finding]:
    """Whether topics keep what a worker needs, and take what it writes. None of a topic that is missing."""
    others = set(names.sources)  # whoever writes to these decides on them
    told = {
        name: found
        for name, found in look.configs.items()
        if not isinstance(found, KafkaError) and name not in others
    }
    if untold := {name: found for name, found in look.configs.items() if isinstance(found, KafkaError)}:
        yield _untold(untold)
    changelogs = (*map(names.changelog, TABLES), names.inputs_changelog)
    state = {name: told[name] for name in changelogs if name in told}
    ours = {name: found for name, found in told.items() if name not in names.uploads_topics}
    uploads = {name: found for name, found in told.items() if name in names.uploads_topics}
    cleanup = [*_state_lost(state), *_compacted(uploads)]
    yield from cleanup or _fine(_CLEANUP, told, "state topics are compacted, uploads are not")
    least = f"at least {names.tombstones_kept_ms} in state topics, {names.keep_tombstones:g} days"
    yield from list(_tombstones(state, names.tombstones_kept_ms)) or _fine(_TOMBSTONES, state, least)
    forwarded = {} if names.inputs else uploads  # nothing is written to topics that are repartitioned
    small = [*_small(ours, MAX_RECORD_BYTES), *_small(forwarded, MAX_FORWARDED_BYTES)]
    yield from small or _fine(_SIZE, ours, f"at least {MAX_RECORD_BYTES} where a worker writes")
    most = f"{_AHEAD} at most {_DAY_MS} for uploads, a day"
    yield from list(_far_future(uploads)) or _fine(_AHEAD, uploads, most, check=_TIMESTAMP)


def _fine(name: str, looked_at: _Configs, rule: str, check: str | None = None) -> Iterator[Finding]:
    """One finding for all topics that were looked at, with the values that they have."""
    values = Counter(config.get(name, "not told") for config in looked_at.values())
    if values:
        listing = ", ".join(f"{value} ({counted})" for value, counted in values.most_common())
        yield Finding(check or name, "ok", listing, rule)


def _untold(untold: Mapping[str, KafkaError]) -> Finding:
    error = next(iter(untold.values()))
    value = f"the configuration of {', '.join(untold)} is not told: {type(error).__name__}"
    denied = isinstance(error, TopicAuthorizationFailedError)
    cure = (
        "grant DESCRIBE_CONFIGS on these topics"
        if denied
        else "ask again; if it stays, look at the broker's log"
    )
    return Finding("topic configuration", "warn", value, "nobody can tell whether they fit", cure)


def _state_lost(state: _Configs) -> Iterator[Finding]:
    for topic, config in state.items():
        policy = config.get(_CLEANUP, "compact")
        kept = all(config.get(name, "-1") == "-1" for name in ("retention.ms", "retention.bytes"))
        value, cure = f"topic {topic}: {_CLEANUP}={policy}", altering(topic, _CLEANUP, "compact")
        if "delete" in policy and not kept:
            limits = (
                f"retention.ms={config.get('retention.ms')}, retention.bytes={config.get('retention.bytes')}"
            )
            rule = f"it deletes rows of the state past its retention ({limits})"
            yield Finding(_CLEANUP, "fail", value, rule, cure)
        elif "compact" not in policy:
            yield Finding(
                _CLEANUP, "warn", value, "the topic grows with every upload, and is never compacted", cure
            )


def _compacted(uploads: _Configs) -> Iterator[Finding]:
    for topic, config in uploads.items():
        policy = config.get(_CLEANUP, "delete")
        if "compact" in policy:
            value, rule = (
                f"topic {topic}: {_CLEANUP}={policy}",
                "uploads may be gone before a worker has read them",
            )
            yield Finding(_CLEANUP, "warn", value, rule, altering(topic, _CLEANUP, "delete"))


def _tombstones(state: _Configs, least: int) -> Iterator[Finding]:
    for topic, config in state.items():
        kept = int(config.get(_TOMBSTONES, least))
        if kept < least and "compact" in config.get(_CLEANUP, ""):
            value = f"topic {topic}: {_TOMBSTONES}={kept}"
            rule = f"a worker that is away for more than {kept / 3_600_000:g} h may miss the removal of a row"
            days = f"TAGSTREAM_KEEP_TOMBSTONES={kept / _DAY_MS:g}"
            cure = f"{altering(topic, _TOMBSTONES, least)}, or set {days}"
            yield Finding(_TOMBSTONES, "fail", value, rule, cure)


def _small(topics: _Configs, largest: int) -> Iterator[Finding]:
    """They must take our largest records: a partition would stop at the first that is refused."""
    for topic, config in topics.items():
        limit = int(config.get(_SIZE, largest))
        if limit < largest:
            rule = f"records may have {largest} bytes"
            cure = altering(topic, _SIZE, largest)
            yield Finding(
                _SIZE, "fail", f"topic {topic}: {_SIZE}={limit}", rule, cure, too_small(topic, limit, largest)
            )


def _far_future(uploads: _Configs) -> Iterator[Finding]:
    """A publisher whose clock is far ahead would make the partitions' clocks run ahead."""
    for topic, config in uploads.items():
        if config.get(_TYPE) == "LogAppendTime" or int(config.get(_AHEAD, _DAY_MS + 1)) <= _DAY_MS:
            continue
        value = f"topic {topic} takes records of the far future"
        rule = "one of them would end the retention of all counts"
        cure = f"{altering(topic, _AHEAD, 3_600_000)} (before Kafka 3.6: {_TYPE}=LogAppendTime)"
        yield Finding(_TIMESTAMP, "warn", value, rule, cure)


def altering(topic: str, name: str, value: object) -> str:
    """The command that changes a topic's configuration."""
    return f"kafka-configs.sh --alter --topic {topic} --add-config {name}={value}"


def too_small(topic: str, limit: int | None = None, largest: int = MAX_RECORD_BYTES) -> str:
    """A sentence that a topic's size limit is too low, and the cure."""
    found = "its limit" if limit is None else f"{_SIZE}={limit}"
    cure = altering(topic, _SIZE, largest)
    return f"topic {topic}: {found} is too small, records may have {largest} bytes; {cure}"
