"""What Kafka refuses: what lasts until somebody changes something, with the cure in words; what passes."""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    BrokerResponseError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnsupportedSaslMechanismError,
)

from schemas.errors import KafkaRefusalError
from streams.kafka.connection import VARIABLES, KafkaConnection

_PATIENCE_MS = 5000
_PAUSE = 0.1  # seconds between two attempts
T = TypeVar("T")
GRANTS = {
    TopicAuthorizationFailedError: "READ, WRITE and DESCRIBE on topic",
    GroupAuthorizationFailedError: "READ on group",
    TransactionalIdAuthorizationFailed: "WRITE and DESCRIBE on transactional id",
    ClusterAuthorizationFailedError: "IDEMPOTENT_WRITE on the cluster",
}
_LOGIN_FAULTS = (SaslAuthenticationFailed, UnsupportedSaslMechanismError, IllegalSaslStateError)


def asker(connection: KafkaConnection) -> str:
    """Who asks, as a refusal names it."""
    return f"user {connection.username!r}" if connection.username else "this client"


def lasting_fault(error: BaseException, connection: KafkaConnection) -> str | None:
    """What must be changed before Kafka does what it refused; None: it may do so the next time."""
    grant = next((grant for kind, grant in GRANTS.items() if isinstance(error, kind)), None)
    if grant is not None:
        who = asker(connection)
        return f"Kafka refuses {who} with {type(error).__name__}: grant {grant} {_names(error)}".rstrip()
    if isinstance(error, _LOGIN_FAULTS):
        return _login_fault(error, connection)
    return None


async def check_login(connection: KafkaConnection) -> None:
    """Distinguish a broker that does not let us in from one that is away; aiokafka does not.

    Raises:
        KafkaRefusalError: A broker refuses user and password, or its certificate is not trusted.
    """
    options = connection.aiokafka_options()
    for host, port, _ in collect_hosts(options.pop("bootstrap_servers")):
        try:
            conn = await create_conn(host, port, request_timeout_ms=_PATIENCE_MS, **options)
        except _LOGIN_FAULTS as error:
            raise KafkaRefusalError(_login_fault(error, connection)) from error
        except ssl.SSLCertVerificationError as error:
            cure = f"say in {VARIABLES['ssl_cafile']} whose certificates vouch for the brokers"
            message = f"the certificate of {host}:{port} is not trusted: {error}; {cure}"
            raise KafkaRefusalError(message) from error
        except (OSError, KafkaError):  # TimeoutError is an OSError
            continue
        conn.close()
        return


def _login_fault(error: BaseException, connection: KafkaConnection) -> str:
    cure = f"check {VARIABLES['username']}, {VARIABLES['password']} and {VARIABLES['sasl_mechanism']}"
    return f"Kafka does not let user {connection.username!r} in ({error}); {cure}"


def _names(error: BaseException) -> str:
    """What a refusal is about; aiokafka says it in different ways."""
    if not isinstance(error, BrokerResponseError) or not error.args:
        return ""
    about = error.args[0]
    names = sorted(map(str, about)) if isinstance(about, set | frozenset | list | tuple) else [str(about)]
    return ", ".join(repr(name) for name in names)


async def patiently(ask: Callable[[], Awaitable[T]], seconds: float) -> T:
    """The answer to a question; what may pass by itself is waited for.

    Raises:
        KafkaError: It does not pass, or has not within the time.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return await ask()
        except KafkaError as error:
            if not error.retriable or time.monotonic() > deadline:
                raise
        await asyncio.sleep(_PAUSE)
