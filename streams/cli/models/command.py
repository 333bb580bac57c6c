"""`tagstream model`: make a model of one's own."""

import click

from streams.cli.models.train import train


@click.group(short_help="Make a model of your own: train tags on your photos.")
def model() -> None:
    """Make a model folder of your own, for TAGSTREAM_ADD_ONS=NAME=FOLDER.

    docs/own-models.md says which way suits what.
    """


model.add_command(train)
