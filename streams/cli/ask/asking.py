"""Commands that ask the query API: their options come from the declarations of its questions."""

import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

import click
from rich.console import RenderableType

from schemas.answers.trends import Answer
from streams.cli.ask.query_client import NoAnswerError, QueryClient, Received
from streams.cli.charts import printable
from streams.cli.terminal import console
from streams.web.api.parameters import NAME, PREFIX, Parameter, parameters_of, wire_name

DEFAULT_API = "http://127.0.0.1:6066"
A = TypeVar("A", bound=Answer)
Given = Mapping[str, Sequence[str]]
Command = Callable[..., None]
Decorator = Callable[[Command], Command]


@dataclass(frozen=True)
class Asking:
    """One run of a command.

    Attributes:
        given: What was said: the texts of each parameter, by its name in the API.
        as_json: Whether answers are printed as they come.
    """

    client: QueryClient
    given: Given
    as_json: bool

    def get(self, path: str, kind: type[A], given: Given | None = None) -> Received[A]:
        """Ask a question.

        Args:
            path: That of the route; a `{name}` in it is filled in from what is given.
            kind: Type of the answer.
            given: What is asked, where it is not simply what was said.

        Raises:
            NoAnswerError: There is no answer.
        """
        given = dict(self.given if given is None else given)
        names = [name for name in given if f"{{{name}}}" in path]
        for name in names:
            path = path.replace(f"{{{name}}}", _quoted(given.pop(name)[0]))
        pairs = [(name, text) for name, texts in given.items() for text in texts]
        return self.client.get(path, pairs, kind)

    def show(self, received: Received[A], view: Callable[[A], RenderableType]) -> None:
        """Print an answer: as it came, or as the view has it."""
        if self.as_json:
            click.echo(received.line)
        else:
            console().print(view(received.answer))


def asks(question: type[Any], *, joined: Iterable[str] = ()) -> Callable[[Callable[[Asking], None]], Command]:
    """Make the decorator of a command that asks a question.

    Each parameter of the question is an option, or an argument where it is required. The texts go to the
    API as they are: its explanation of a breach is the one that is shown.

    Args:
        question: Dataclass of the parameters, see `streams.web.api.parameters`.
        joined: Parameters that are lists with commas: said several times, they are joined.
    """
    joined = set(joined)

    def decorate(command: Callable[[Asking], None]) -> Command:
        @functools.wraps(command)
        def run(*, api: str, token: str | None, as_json: bool, **given: Any) -> None:  # noqa: ANN401 - texts
            texts = {
                name: _texts(value, name in joined)
                for name, value in given.items()
                if value not in {None, ()}
            }
            try:
                with QueryClient(api, token) as client:
                    command(Asking(client, texts, as_json))
            except NoAnswerError as error:
                click.echo(f"{click.get_current_context().command_path}: {printable(str(error))}", err=True)
                sys.exit(error.exit_code)

        options: list[Decorator] = [
            _option(field, parameter, joined) for field, parameter in parameters_of(question).items()
        ]
        decorated: Command = run
        for option in reversed([*options, *_SHARED]):
            decorated = option(decorated)
        return decorated

    return decorate


_SHARED: tuple[Decorator, ...] = (
    click.option(
        "--api",
        envvar="TAGSTREAM_API",
        default=DEFAULT_API,
        help=f"URL of a worker's query API. [TAGSTREAM_API; default: {DEFAULT_API}]",
    ),
    click.option("--token", envvar="TAGSTREAM_TOKEN", help="Sent as a bearer token. [TAGSTREAM_TOKEN]"),
    click.option("--json", "as_json", is_flag=True, help="One line of JSON per answer, as it came."),
)


def _option(field: str, parameter: Parameter, joined: Iterable[str]) -> Decorator:
    name, schema = wire_name(field), parameter.kind.schema
    if parameter.required:
        return click.argument(name, nargs=-1 if parameter.most > 1 else 1, required=True)
    words = schema.get("enum")
    kind = "TEXT" if schema["type"] == "string" else str(schema["type"]).upper()
    repeated = parameter.most > 1 or name in joined
    return click.option(
        f"--{name.replace('_', '-')}",
        name,
        multiple=repeated,
        metavar="|".join(words) if words else kind,
        help=" ".join(_help(parameter, obvious=bool(words), repeated=repeated)),
    )


def _help(parameter: Parameter, *, obvious: bool, repeated: bool) -> Iterator[str]:
    yield parameter.description
    if not obvious and parameter.kind is not NAME and parameter.kind is not PREFIX:
        yield f"Must be {parameter.kind.rule}."
    if repeated:
        yield "May be said several times."
    if parameter.default not in {None, ""}:
        yield f"[default: {parameter.default}]"


def _texts(value: str | tuple[str, ...], joined: bool) -> list[str]:  # noqa: FBT001 - one caller
    texts = [value] if isinstance(value, str) else list(value)
    return [",".join(texts)] if joined else texts


def _quoted(text: str) -> str:
    # A path made of dots alone would be taken for a way up.
    return text.replace(".", "%2E") if text in {".", ".."} else quote(text, safe="")


class DefaultGroup(click.Group):
    """Commands of which one is meant where none is named.

    Attributes:
        default: The one.
        takes_words: Whether a first word that is no command is its argument.
    """

    def __init__(self, *args: Any, default: str, takes_words: bool = False, **settings: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **settings)
        self.default = default
        self.takes_words = takes_words

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default command before arguments that name none."""
        if self._unnamed(args, ctx.help_option_names):
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def _unnamed(self, args: list[str], help_options: list[str]) -> bool:
        if not args:
            return not self.takes_words
        if args[0] in help_options or args[0] in self.commands:
            return False
        return self.takes_words or args[0].startswith("-")
