"""How to reach Kafka: addresses, TLS and SASL, as aiokafka wants to hear it."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from schemas.errors import SettingsError

DEFAULT_BOOTSTRAP_SERVERS = "localhost:9092"
VARIABLES = {
    "bootstrap_servers": "KAFKA_BOOTSTRAP_SERVERS",
    "security_protocol": "KAFKA_SECURITY_PROTOCOL",
    "sasl_mechanism": "KAFKA_SASL_MECHANISM",
    "username": "KAFKA_SASL_USERNAME",
    "password": "KAFKA_SASL_PASSWORD",
    "ssl_cafile": "KAFKA_SSL_CAFILE",
    "ssl_certfile": "KAFKA_SSL_CERTFILE",
    "ssl_keyfile": "KAFKA_SSL_KEYFILE",
}
_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_SASL = ("sasl_mechanism", "username", "password")
_FILES = ("ssl_cafile", "ssl_certfile", "ssl_keyfile")
_LAST_PORT = 65_535


@dataclass(frozen=True)
class KafkaConnection:
    """A cluster and the way to it. Each field is the environment variable that `VARIABLES` names.

    Attributes:
        bootstrap_servers: HOST:PORT of one or more brokers, separated by commas.
        security_protocol: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.
        sasl_mechanism: PLAIN (the default with SASL), SCRAM-SHA-256 or SCRAM-SHA-512.
        username: Who we are, with SASL.
        password: The proof of it.
        ssl_cafile: Certificates that vouch for the brokers; without it those of the system do.
        ssl_certfile: Our own certificate, where the brokers want one.
        ssl_keyfile: Its private key, unless that is in `ssl_certfile`.
    """

    bootstrap_servers: str = DEFAULT_BOOTSTRAP_SERVERS
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ssl_cafile: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None

    def __post_init__(self) -> None:
        for server in self._servers or [""]:
            _check_server(server)
        _check_choice("security_protocol", self.security_protocol, _PROTOCOLS)
        self._check_sasl()
        self._check_ssl()

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, str]) -> "KafkaConnection":
        """Read the connection from `mapping`, such as `os.environ`; an empty value counts as absent.

        Raises:
            SettingsError: A value, or a combination of values, cannot work.
        """
        return cls(
            **{name: mapping[variable] for name, variable in VARIABLES.items() if mapping.get(variable)}
        )

    def aiokafka_options(self) -> dict[str, object]:
        """The arguments for aiokafka's consumers, producers and admin clients."""
        options: dict[str, object] = {
            "bootstrap_servers": self._servers,
            "security_protocol": self.security_protocol,
        }
        if self._with_ssl:
            options["ssl_context"] = self._ssl_context()
        if self._with_sasl:
            options["sasl_mechanism"] = self._mechanism
            options["sasl_plain_username"] = self.username
            options["sasl_plain_password"] = self.password
        return options

    @property
    def _servers(self) -> list[str]:
        return [server.strip() for server in self.bootstrap_servers.split(",") if server.strip()]

    @property
    def _with_ssl(self) -> bool:
        return self.security_protocol.endswith("SSL")

    @property
    def _with_sasl(self) -> bool:
        return self.security_protocol.startswith("SASL")

    @property
    def _mechanism(self) -> str:
        return self.sasl_mechanism or "PLAIN"

    def _ssl_context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ssl_cafile)
            if self.ssl_certfile:
                # A key with a passphrase would ask for it on the terminal, and a worker has none.
                context.load_cert_chain(self.ssl_certfile, self.ssl_keyfile, password="")
        except ssl.SSLError as error:
            values = ", ".join(_shown(name, getattr(self, name)) for name in _FILES if getattr(self, name))
            raise SettingsError(
                f"{values}: {error.reason or error}; needed are PEM files, and a key that fits the "
                "certificate and has no passphrase"
            ) from error
        return context

    def _check_sasl(self) -> None:
        if not self._with_sasl:
            return self._refuse_unused(_SASL, "SASL_SSL or SASL_PLAINTEXT")
        _check_choice("sasl_mechanism", self._mechanism, _MECHANISMS)
        for name in ("username", "password"):
            if not getattr(self, name):
                chosen = _shown("security_protocol", self.security_protocol)
                raise SettingsError(f"{chosen} needs {VARIABLES[name]}, which is not set")
        return None

    def _check_ssl(self) -> None:
        if not self._with_ssl:
            return self._refuse_unused(_FILES, "SSL or SASL_SSL")
        if self.ssl_keyfile and not self.ssl_certfile:
            shown = _shown("ssl_keyfile", self.ssl_keyfile)
            raise SettingsError(f"{shown} needs {VARIABLES['ssl_certfile']}: the certificate of that key")
        for name in _FILES:
            path = getattr(self, name)
            if path and not Path(path).is_file():
                raise SettingsError(f"{_shown(name, path)}: no such file")
        return None

    def _refuse_unused(self, names: tuple[str, ...], cure: str) -> None:
        # What is not used was meant to be: better refused than sent in the clear or left out.
        for name in names:
            if getattr(self, name):
                chosen = _shown("security_protocol", self.security_protocol)
                raise SettingsError(
                    f"{VARIABLES[name]} is set, and {chosen} does not use it; set "
                    f"{VARIABLES['security_protocol']} to {cure}, or unset {VARIABLES[name]}"
                )


def _shown(name: str, value: str | None) -> str:
    return f"{VARIABLES[name]}={value!r}"


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise SettingsError(f"{_shown(name, value)}: choose {', '.join(choices[:-1])} or {choices[-1]}")


def _check_server(server: str) -> None:
    host, _, port = server.rpartition(":")
    valid = port.isascii() and port.isdigit() and 0 < int(port) <= _LAST_PORT
    if not host or "/" in host or not valid:
        example = "needed is HOST:PORT, several separated by commas, such as kafka-1:9092,kafka-2:9092"
        raise SettingsError(f"{_shown('bootstrap_servers', server)}: {example}")
