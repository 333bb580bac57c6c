"""The `tagstream` command."""

import logging
from importlib import import_module

import click

COMMANDS = {  # the module of each, below this package
    "run": "local.run",
    "worker": "worker",
    "gateway": "worker",
    "doctor": "doctor",
    "broker": "local.broker",
    "publish": "publish",
    "tail": "tail",
    "rules": "trials.rules",
    "sources": "event_sources.command",
    "export": "export.command",
    "retag": "retag.command",
    "rescale": "rescale.command",
    "dead-letters": "dead_letters.command",
    "webhooks": "webhooks.command",
    "trends": "ask.trends",
    "images": "ask.images",
    "users": "ask.users",
    "evaluate": "trials.evaluate",
    "model": "models.command",
    "token": "token",
    "bench-model": "trials.bench_model",
}


class _LazyCommands(click.Group):
    """Imports a command's module only when it is asked for: `--help` stays quick."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = import_module(f"streams.cli.{COMMANDS[name]}")
        command: click.Command = getattr(module, name.replace("-", "_"))
        return command


@click.command(cls=_LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tagstream")
def main() -> None:
    """Tag the images that Kafka upload events name, and count the tags exactly."""
    # Each retry of a download or a fetch; what comes of it is told by whoever asked for it.
    logging.getLogger("stamina").setLevel(logging.ERROR)
