"""`tagstream gateway`: take calls of Cloudinary's and Imagga's clients until told to stop."""

import os
from typing import Any

import click

from streams.app.roles import Role
from streams.app.settings import variable
from streams.cli.options import settings_options
from streams.cli.worker import WorkerCommand, work

_SHOWN = (
    "gateway_host", "gateway_port", "gateway_url", "credentials", "object_store", "max_upload_bytes",
    "sweep_after", "allow_sources", "add_ons", "app_id", "topic_prefix", "partitions", "data_dir", "web_port",
    "metrics_port", "log_level", "log_format",
)  # fmt: skip
_BESIDE_A_WORKER = {"web_port": 0, "metrics_port": 0}


@click.command(cls=WorkerCommand, short_help="Take calls of Cloudinary's and Imagga's clients.")
@click.option("--broker", help="Bootstrap servers. [KAFKA_BOOTSTRAP_SERVERS; default: localhost:9092]")
@settings_options(_SHOWN)
def gateway(broker: str | None, **overrides: Any) -> None:  # noqa: ANN401 - values of the settings' types
    """Take calls of Cloudinary's and Imagga's clients until SIGTERM or Ctrl-C.

    A `tagstream worker --roles gateway` that can stand beside a worker on one machine: its health and metrics
    have free ports, unless you name some. Workers tag what it takes: they need the same object store.

    Many gateways may stand behind a balancer, which may send any call to any of them.

    Exit codes: as of `tagstream worker`.
    """
    overrides["roles"] = overrides["roles"] or str(Role.GATEWAY)
    for name, value in _BESIDE_A_WORKER.items():
        if overrides[name] is None and variable(name) not in os.environ:
            overrides[name] = value
    work(broker, overrides)
