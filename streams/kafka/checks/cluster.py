"""Checks of the brokers themselves: their version, and whether their clock is ours."""

from collections.abc import Mapping

from aiokafka.errors import ClusterAuthorizationFailedError, KafkaError

from streams.kafka.checks.findings import Finding
from streams.kafka.checks.look import Look

CLOCK, VERSION = "clock", "version"
_PRODUCE, _JOIN_GROUP, _DESCRIBE_TRANSACTIONS = 0, 11, 65  # numbers of requests
_RELEASES = (("4.0", _PRODUCE, 12), ("3.0", _DESCRIBE_TRANSACTIONS, 0), ("2.3", _JOIN_GROUP, 5))
_LEAST, _BETTER = "2.3", "3.0"
_TESTED = "docs/operations.md says which was tested"
_SKEW = 10.0  # seconds
_AHEAD, _TYPE = "message.timestamp.after.max.ms", "message.timestamp.type"
_HOUR_MS = 3_600_000  # Kafka 4's own limit


def check_version(versions: Mapping[int, int]) -> Finding:
    """Whether the broker knows the requests that a worker sends; it does not tell its release.

    Args:
        versions: The newest version of each request, by the request's number.
    """
    known = [name for name, key, version in _RELEASES if versions.get(key, -1) >= version]
    cure = f"upgrade the brokers to Kafka {_BETTER} or newer; {_TESTED}"
    if _LEAST not in known:
        rule = f"a worker needs Kafka {_LEAST}: it is a static member of its group"
        return Finding(VERSION, "fail", f"Kafka before {_LEAST}", rule, cure)
    found = f"Kafka {known[0]} or newer"
    if _BETTER not in known:
        rule = (
            f"before Kafka {_BETTER} a worker aborts a transaction that a broker left open and had committed"
        )
        return Finding(VERSION, "warn", f"{found}, before {_BETTER}", rule, cure)
    return Finding(VERSION, "ok", found, f"Kafka {_BETTER} or newer; {_TESTED}")


def check_clock(look: Look) -> Finding:
    """Whether this machine's time is the leading controller's, the one that can be had without writing."""
    if isinstance(look.ahead, KafkaError):
        return _untold(look.ahead)
    ahead, doubt = look.ahead
    value = f"{abs(ahead):.1f} s {'ahead of' if ahead >= 0 else 'behind'} the cluster's controller"
    cure = "set the clock that is wrong, here or there; let NTP (chrony, systemd-timesyncd) keep both"
    if doubt > _SKEW:
        return Finding(CLOCK, "warn", value, f"its answer took {2 * doubt:.0f} s: nobody can tell", cure)
    limit = _limit(look) / 1000
    if ahead - doubt > limit:
        rule = f"brokers refuse records of more than {limit:g} s ahead: none of a worker's would be taken"
        return Finding(CLOCK, "fail", value, rule, cure)
    rule = f"within {_SKEW:g} s: retries and the windows of questions go by this clock"
    if abs(ahead) - doubt > _SKEW:
        return Finding(CLOCK, "warn", value, rule, cure)
    return Finding(CLOCK, "ok", value, rule)


def _limit(look: Look) -> int:
    """Milliseconds that records may be ahead in the topics that a worker writes to."""
    configs = [config for config in look.configs.values() if not isinstance(config, KafkaError)]
    strict = (config for config in configs if config.get(_TYPE) != "LogAppendTime")
    return min((int(config[_AHEAD]) for config in strict if _AHEAD in config), default=_HOUR_MS)


def _untold(error: KafkaError) -> Finding:
    by_hand = "compare `date -u` here and on the brokers"
    denied = isinstance(error, ClusterAuthorizationFailedError)
    cure = f"grant DESCRIBE on the cluster, or {by_hand}" if denied else by_hand
    rule = (
        f"the cluster does not tell its time ({type(error).__name__}); it should be ours within {_SKEW:g} s"
    )
    return Finding(CLOCK, "warn", "not known", rule, cure)
