import ssl
from pathlib import Path

import pytest
from faust.auth import SASLCredentials, SSLCredentials

from schemas.errors import SettingsError
from streams.app.faust.options import faust_options
from streams.kafka.connection import VARIABLES, KafkaConnection

SASL = {
    "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "KAFKA_SASL_USERNAME": "koala",
    "KAFKA_SASL_PASSWORD": "eucalyptus",
}


def test_defaults_to_a_local_broker_in_plain_text() -> None:
    """An empty environment means a broker on this machine, as `tagstream broker` starts it."""
    connection = KafkaConnection.from_mapping({})
    assert connection.aiokafka_options() == {
        "bootstrap_servers": ["localhost:9092"],
        "security_protocol": "PLAINTEXT",
    }
    assert faust_options(connection) == {"broker": ["kafka://localhost:9092"], "broker_credentials": None}


def test_reads_several_servers() -> None:
    """Brokers are separated by commas; blanks around them do not matter."""
    connection = KafkaConnection.from_mapping({"KAFKA_BOOTSTRAP_SERVERS": "a:1, b:2,"})
    assert connection.aiokafka_options()["bootstrap_servers"] == ["a:1", "b:2"]
    assert faust_options(connection)["broker"] == ["kafka://a:1", "kafka://b:2"]


def test_an_empty_variable_counts_as_absent() -> None:
    """Compose files and CI set variables to nothing where they mean to leave them out."""
    assert KafkaConnection.from_mapping(dict.fromkeys(VARIABLES.values(), "")) == KafkaConnection()


def test_sasl_over_tls_for_both_clients() -> None:
    """Both clients get the same user, password, mechanism and a context that checks host names."""
    connection = KafkaConnection.from_mapping(SASL | {"KAFKA_SASL_MECHANISM": "SCRAM-SHA-512"})
    options = connection.aiokafka_options()
    assert options["security_protocol"] == "SASL_SSL"
    assert options["sasl_mechanism"] == "SCRAM-SHA-512"
    assert options["sasl_plain_username"] == "koala"
    assert options["sasl_plain_password"] == "eucalyptus"  # noqa: S105 - of the test
    assert isinstance(options["ssl_context"], ssl.SSLContext)
    assert options["ssl_context"].check_hostname
    credentials = faust_options(connection)["broker_credentials"]
    assert isinstance(credentials, SASLCredentials)
    assert (credentials.username, credentials.mechanism.value) == ("koala", "SCRAM-SHA-512")
    assert credentials.protocol.value == "SASL_SSL"


def test_tls_with_a_certificate_of_our_own(key_pair: tuple[str, str]) -> None:
    """CA, certificate and key are loaded into the context of both clients."""
    certificate, key = key_pair
    connection = KafkaConnection(
        security_protocol="SSL", ssl_cafile=certificate, ssl_certfile=certificate, ssl_keyfile=key
    )
    context = connection.aiokafka_options()["ssl_context"]
    assert isinstance(context, ssl.SSLContext)
    assert [dict(entry[0] for entry in ca["subject"]) for ca in context.get_ca_certs()] == [
        {"commonName": "koala"}
    ]
    assert isinstance(faust_options(connection)["broker_credentials"], SSLCredentials)


def test_a_file_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    """A broken PEM file is reported with its variable and path, not as a bare OpenSSL error."""
    broken = tmp_path / "ca.pem"
    broken.write_text("no certificate")
    connection = KafkaConnection(security_protocol="SSL", ssl_cafile=str(broken))
    with pytest.raises(SettingsError, match=r"KAFKA_SSL_CAFILE='.*ca\.pem'.*PEM"):
        connection.aiokafka_options()


def test_the_password_is_not_shown() -> None:
    """The password is in no representation that could reach a log."""
    assert "eucalyptus" not in repr(KafkaConnection.from_mapping(SASL))


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"KAFKA_BOOTSTRAP_SERVERS": "kafka"}, "KAFKA_BOOTSTRAP_SERVERS='kafka': needed is HOST:PORT"),
        ({"KAFKA_BOOTSTRAP_SERVERS": "kafka://a:1"}, "needed is HOST:PORT"),
        ({"KAFKA_BOOTSTRAP_SERVERS": "a:99999"}, "needed is HOST:PORT"),
        ({"KAFKA_BOOTSTRAP_SERVERS": ","}, "needed is HOST:PORT"),
        ({"KAFKA_SECURITY_PROTOCOL": "TLS"}, "choose PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"),
        (SASL | {"KAFKA_SASL_MECHANISM": "GSSAPI"}, "choose PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"),
        (SASL | {"KAFKA_SASL_PASSWORD": ""}, "needs KAFKA_SASL_PASSWORD, which is not set"),
        (SASL | {"KAFKA_SECURITY_PROTOCOL": "SSL"}, "KAFKA_SASL_USERNAME is set"),
        ({"KAFKA_SSL_CAFILE": "ca.pem"}, "KAFKA_SSL_CAFILE is set"),
        (SASL | {"KAFKA_SSL_KEYFILE": "key.pem"}, "needs KAFKA_SSL_CERTFILE"),
        (SASL | {"KAFKA_SSL_CAFILE": "/nowhere.pem"}, "KAFKA_SSL_CAFILE='/nowhere.pem': no such file"),
    ],
)
def test_what_cannot_work_is_refused(mapping: dict[str, str], message: str) -> None:
    """A wrong value or combination names the variable and the cure, before anything connects."""
    with pytest.raises(SettingsError) as raised:
        KafkaConnection.from_mapping(mapping)
    assert message in str(raised.value)
    assert "eucalyptus" not in str(raised.value)
