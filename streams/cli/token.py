"""`tagstream token`: tokens for the query API."""

import click

from streams.web.access.callers import EVERY_TENANT, IN_USE, Scope
from streams.web.access.tokens import lines_of, new_token
from streams.web.api.parameters import NAME, PREFIX, Kind

_TELL = """\
The token, shown this once:

  {token}

Clients send it as `Authorization: Bearer …`, our commands with --token or TAGSTREAM_TOKEN.
The lines on standard output belong into the file that the workers' TAGSTREAM_TOKENS names (chmod 600);
running workers read it again by themselves.
"""


@click.group()
def token() -> None:
    """Make tokens for the query API."""


def _checked(kind: Kind[str], what: str, text: str) -> str:
    try:
        text.encode()
        return kind.parse(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} must be {kind.rule}", param_hint=what) from None


@token.command()
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(sorted(str(scope) for scope in IN_USE)),
    multiple=True,
    default=[str(Scope.READ)],
    show_default=True,
    help="What it is for; may be said several times.",
    hidden=len(IN_USE) == 1,
)
@click.option(
    "--tenant",
    "tenants",
    multiple=True,
    help=f"Whose images; may be said several times. {EVERY_TENANT}: everybody's. [default: those without]",
)
@click.option("--name", help="What the token is called in the file. [default: by its hash]")
def new(scopes: tuple[str, ...], tenants: tuple[str, ...], name: str | None) -> None:
    """Print a new token, and the lines to add to the file of tokens.

    The lines go to standard output, the token to standard error: `tagstream token new >> tokens.toml` adds
    the one and shows the other. Only the token's hash is in the lines.

    Exit codes: 0, 2 when the file could not hold what is said.
    """
    fresh = new_token()
    name = None if name is None else _checked(NAME, "--name", name)
    checked = [_checked(PREFIX, "--tenant", tenant) for tenant in tenants]
    click.echo(_TELL.format(token=fresh), err=True)
    click.echo(f"{lines_of(fresh, map(Scope, scopes), checked, name)}\n")
