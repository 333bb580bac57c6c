"""How a command that makes a model folder ends where it cannot."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from model import ManifestError
from model.evaluation.labels import LabelsError
from streams.cli.options import give_up

EXIT_LABELS = 2


@contextlib.contextmanager
def faults_told(command: str, out: Path) -> Iterator[None]:
    """Say what is wrong and how to mend it, and end with the exit code for it.

    Args:
        command: Its name.
        out: The folder that it writes.
    """
    try:
        yield
    except LabelsError as error:
        click.echo(f"tagstream {command}: {error}", err=True)
        sys.exit(EXIT_LABELS)
    except ManifestError as error:
        give_up(command, error)
    except OSError as error:
        give_up(command, f"cannot write {out} ({error.strerror}): name a folder that can be written")
