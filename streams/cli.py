"""The `tagstream` command."""

import logging
from importlib import import_module

import click

COMMANDS = (
    "run",
    "worker",
    "broker",
    "publish",
    "tail",
    "rules",
    "retag",
    "dead-letters",
    "trends",
    "images",
    "users",
    "evaluate",
    "token",
    "bench-model",
)


class _LazyCommands(click.Group):
    """Imports a command's module only when it is asked for: `--help` stays quick."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = name.replace("-", "_")
        command: click.Command = getattr(import_module(f"streams.commands.{module}"), module)
        return command


@click.command(cls=_LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tagstream")
def main() -> None:
    """Tag the images that Kafka upload events name, and count the tags exactly."""
    # Each retry of a download or a fetch; what comes of it is told by whoever asked for it.
    logging.getLogger("stamina").setLevel(logging.ERROR)


if __name__ == "__main__":
    main()
