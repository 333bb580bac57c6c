"""How Faust reaches Kafka: as everything else here does."""

from typing import Any

from faust import auth

from streams.kafka.connection import KafkaConnection


def faust_options(connection: KafkaConnection) -> dict[str, object]:
    """The arguments for a Faust application that say how to reach Kafka."""
    options: dict[str, Any] = connection.aiokafka_options()
    servers = [f"kafka://{server}" for server in options["bootstrap_servers"]]
    return {"broker": servers, "broker_credentials": _credentials(options)}


def _credentials(options: dict[str, Any]) -> object:
    context = options.get("ssl_context")
    if "sasl_mechanism" in options:
        return auth.SASLCredentials(
            username=options["sasl_plain_username"],
            password=options["sasl_plain_password"],
            mechanism=options["sasl_mechanism"],
            ssl_context=context,
        )
    return auth.SSLCredentials(context) if context else None
