"""The checks of a cluster from its beginning: whether it answers at all."""

import time
from collections.abc import Iterable

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from schemas.errors import KafkaRefusalError, SettingsError
from schemas.topics import TopicNames
from streams.app.checks.refusals import refused
from streams.app.settings import Settings
from streams.kafka.admin import create_topics, open_admin
from streams.kafka.checks.all import check_cluster
from streams.kafka.checks.cluster import check_version
from streams.kafka.checks.findings import Finding, worst
from streams.kafka.checks.look import Look, look_at, versions_of
from streams.kafka.connection import KafkaConnection
from streams.kafka.faults import check_login, lasting_fault

_BROKER, _LOGIN = "broker", "login"
_REQUEST_MS = 10_000


async def check_kafka(connection: KafkaConnection, settings: Settings) -> list[Finding]:
    """All checks of a cluster, by one client, and without changing it."""
    begun = time.monotonic()
    try:
        async with open_admin(connection, request_timeout_ms=_REQUEST_MS) as admin:
            took = f"answers after {(time.monotonic() - begun) * 1000:.0f} ms"
            found = Finding(_BROKER, "ok", f"{connection.bootstrap_servers}, {took}", "a broker answers")
            return [found, *await _checks(admin, connection, settings)]
    except SettingsError as error:
        return [refused(_BROKER, connection.bootstrap_servers, error, "correct the setting")]
    except (KafkaError, OSError) as error:  # TimeoutError is an OSError
        return [await _unreachable(connection, error)]


async def _checks(
    admin: AIOKafkaAdminClient, connection: KafkaConnection, settings: Settings
) -> list[Finding]:
    names = TopicNames.of(settings)
    versions = await versions_of(admin)
    version = check_version(versions)
    if version.status == "fail":
        return [version]
    look = await look_at(admin, connection, names)
    findings = [version, *_of_cluster(look, connection, settings)]
    if worst(findings) != "fail":
        missing = [name for name in names.configs if name not in look.topics]
        findings += await create_topics(admin, settings, missing, rehearse=True)
    return findings


def _of_cluster(look: Look, connection: KafkaConnection, settings: Settings) -> Iterable[Finding]:
    return check_cluster(
        look,
        TopicNames.of(settings),
        settings.partitions,
        connection,
        tags=settings.tags,
        publishes=settings.is_gateway,
    )


async def _unreachable(connection: KafkaConnection, error: Exception) -> Finding:
    value = connection.bootstrap_servers
    try:
        await check_login(connection)
        fault = lasting_fault(error, connection)
    except KafkaRefusalError as refusal:
        fault = str(refusal)
    if fault is None:
        rule = f"no broker answers ({type(error).__name__})"
        cure = "start a broker, or say where it is with --broker or KAFKA_BOOTSTRAP_SERVERS"
        return Finding(_BROKER, "fail", value, rule, cure)
    rule, _, cure = fault.rpartition("; ")
    return Finding(_LOGIN, "fail", value, rule or fault, cure if rule else "grant it", fault)
