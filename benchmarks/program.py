"""The command line of a benchmark: what can be chosen, a table for people, a last line for machines."""

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

Report = dict[str, Any]


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """A parser that says what a module's docstring says."""
    return argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def run_program(
    description: str | None,
    add_arguments: Callable[[argparse.ArgumentParser], None],
    measure: Callable[[argparse.Namespace], Awaitable[Report]],
    show: Callable[[Report], None],
) -> None:
    """Read the command line, measure and report."""
    parser = parser_of(description)
    add_arguments(parser)
    options = parser.parse_args()

    async def measured() -> Report:
        return await measure(options)

    report = asyncio.run(measured())
    show(report)
    print(json.dumps(report, default=vars))
