"""What `--help` says of each command, on a terminal of 80 columns."""

from collections.abc import Iterator

import click
import pytest
from rich.cells import cell_len

from streams.cli.main import main

WIDTH = 80


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command by its words, groups included."""
    yield "tagstream", main
    for name in main.list_commands(click.Context(main)):
        command = main.get_command(click.Context(main), name)
        assert command is not None
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {inner}", each) for inner, each in command.commands.items())


COMMANDS = dict(commands())


def help_of(words: str) -> list[str]:
    parts = words.split()
    parent = click.Context(main, info_name="tagstream", terminal_width=WIDTH)
    for part in parts if COMMANDS[words] is not main else []:
        command = parent.command
        assert isinstance(command, click.Group)
        found = command.get_command(parent, part)
        assert found is not None
        parent = click.Context(found, info_name=part, parent=parent, terminal_width=WIDTH)
    return parent.get_help().splitlines()


@pytest.mark.parametrize("words", COMMANDS)
def test_it_fits_the_terminal(words: str) -> None:
    """No line is broken by the terminal, and no sentence about a command is cut short."""
    lines = help_of(words)
    assert [line for line in lines if cell_len(line) > WIDTH] == []
    assert [line for line in lines if line.endswith("...") and "Usage" not in line] == []


@pytest.mark.parametrize("words", COMMANDS)
def test_every_option_is_explained(words: str) -> None:
    """A sentence, and no option that takes seconds leaves open that it does."""
    for parameter in COMMANDS[words].params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert parameter.help, (words, parameter.name)
            if parameter.name in {"timeout", "seconds"}:
                assert "econds" in parameter.help, (words, parameter.name)


@pytest.mark.parametrize(
    "words", [words for words, each in COMMANDS.items() if not isinstance(each, click.Group)]
)
def test_exit_codes_are_told(words: str) -> None:
    """Of each command that does not just ask the query API, whose group tells them."""
    told = " ".join(help_of(words)) + " ".join(help_of(words.split(maxsplit=1)[0]))
    assert "Exit codes: 0" in told, words
