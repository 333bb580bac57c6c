"""`tagstream model`: make a model of one's own."""

import click

from streams.cli.models.moderation import moderation
from streams.cli.models.text import text
from streams.cli.models.train import train
from streams.cli.models.zero_shot import zero_shot


@click.group(short_help="Make a model of your own: of labelled photos, or of words.")
def model() -> None:
    """Make a model folder of your own, for TAGSTREAM_ADD_ONS=NAME=FOLDER.

    docs/own-models.md says which way suits what.
    """


model.add_command(moderation)
model.add_command(text)
model.add_command(train)
model.add_command(zero_shot)
