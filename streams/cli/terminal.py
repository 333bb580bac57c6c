"""Where commands print what they have to show."""

import io
import os
import sys

from rich.console import Console

PIPED_WIDTH = 160  # columns where there is no terminal: lines are not cut short for a file


def console() -> Console:
    """The console for results. What is printed on it is taken as it is, whatever characters it has."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # names have any characters, terminals do not
    piped = not sys.stdout.isatty() and not os.environ.get("COLUMNS")
    return Console(highlight=False, markup=False, emoji=False, width=PIPED_WIDTH if piped else None)


def record_console() -> Console:
    """The console for records: in a file or a pipe each is one line, however long it is."""
    made = console()
    made.soft_wrap = not sys.stdout.isatty()
    return made
