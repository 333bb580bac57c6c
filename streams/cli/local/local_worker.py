"""The worker that `tagstream run` starts: with the user's settings, and what the run itself needs besides."""

import contextlib
import ipaddress
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from schemas.errors import SettingsError
from streams.app.roles import DEFAULT, Role
from streams.app.settings import Settings, variable
from streams.cli.options import flag_of
from streams.kafka.connection import VARIABLES, KafkaConnection

PHOTO_HOST = "127.0.0.1"
_UNSAID = {"roles": DEFAULT}
_REASONS = {  # of what is not as the user may say it
    "roles": "the run tags photos, shows counts, and takes SDKs' calls",
    "replication": "the embedded Kafka is a single broker",
}


@dataclass(frozen=True)
class LocalWorker:
    """How the worker is started.

    Attributes:
        arguments: Of `tagstream worker`.
        environment: Variables that differ from this process's own.
        api: URL of its query API.
        gateway: URL of its gateway.
        notes: What counts otherwise than the user says, a line each.
    """

    arguments: list[str]
    environment: dict[str, str]
    api: str
    gateway: str
    notes: list[str]


@dataclass(frozen=True)
class Cluster:
    """The Kafka of a run.

    Attributes:
        embedded: Whether it is a broker of the run's own.
    """

    connection: KafkaConnection
    embedded: bool


def local_worker(
    settings: Settings,
    flags: Mapping[str, object],
    cluster: Cluster,
    environment: Mapping[str, str],
    photo_ports: Iterable[int],
) -> LocalWorker:
    """Decide how the worker is started.

    Args:
        settings: What the user says, by flags, variables and profile.
        flags: The settings that were said as flags.
        cluster: Where it finds Kafka.
        environment: The variables of this process.
        photo_ports: Where photos are served.

    Raises:
        SettingsError: There is no port for the query API or the gateway.
    """
    address, gateway_address = _address(settings.web_host), _address(settings.gateway_host)
    port, gateway_port = (
        free_port(settings.web_port, address),
        free_port(settings.gateway_port, gateway_address),
    )
    photos = [f"{PHOTO_HOST}:{photo_port}" for photo_port in photo_ports]
    needed: dict[str, object] = {
        "data_dir": settings.data_dir,
        "web_port": port,
        "allow_sources": ",".join(filter(None, (settings.allow_sources.strip(" ,"), *photos))),
        "roles": ",".join(role for role in Role if role is not Role.TRENDS or settings.judges_trends),
        "gateway_port": gateway_port,
        "thumbnails": True,
    }
    if cluster.embedded:
        needed["replication"] = 1
    said = {name: value for name, value in flags.items() if value is not None}
    arguments = ["--broker", cluster.connection.bootstrap_servers]
    for name, value in {**said, **needed}.items():
        arguments += [flag_of(name), str(value)]
    unused = [name for name in VARIABLES.values() if environment.get(name)] if cluster.embedded else []
    notes = _overruled(settings, needed)
    if settings.web_port not in {0, port}:
        notes.append(f"port {settings.web_port} is taken: the query API is on port {port}")
    if settings.gateway_port not in {0, gateway_port}:
        notes.append(f"port {settings.gateway_port} is taken: the gateway is on port {gateway_port}")
    if unused:
        cure = f"name a cluster in {VARIABLES['bootstrap_servers']}"
        notes.append(f"{', '.join(unused)}: not for the embedded Kafka; {cure}")
    return LocalWorker(
        arguments,
        dict.fromkeys(unused, ""),
        f"http://{_asked(address)}:{port}",
        f"http://{_asked(gateway_address)}:{gateway_port}",
        notes,
    )


def free_port(wanted: int, address: str = PHOTO_HOST) -> int:
    """The port that is wanted if it is free, else one that is.

    Raises:
        SettingsError: The address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for candidate in (wanted, 0):
        with (
            contextlib.suppress(OSError),
            socket.create_server((address, candidate), family=family) as probe,
        ):
            return int(probe.getsockname()[1])
    raise SettingsError(f"no port of {address} can be listened on: choose an address of this machine")


def _overruled(settings: Settings, needed: Mapping[str, object]) -> list[str]:
    return [
        f"{variable(name)}={getattr(settings, name)} does not count here: {reason}"
        for name, reason in _REASONS.items()
        if name in needed and getattr(settings, name) not in {needed[name], _UNSAID.get(name)}
    ]


def _address(host: str) -> str:
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        cure = "choose an address of this machine"
        raise SettingsError(f"{variable('web_host')}={host!r}: {error.strerror}; {cure}") from error


def _asked(address: str) -> str:
    """Where this machine asks what listens on an address, as a part of a URL."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if ip.version == 4:  # noqa: PLR2004 - IPv4
        return PHOTO_HOST if ip.is_unspecified else str(ip)
    return "[::1]" if ip.is_unspecified else f"[{ip}]"
