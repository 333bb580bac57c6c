"""`tagstream model text`: a folder for reading words, of the networks in an optional package."""

from pathlib import Path

import click

from model.tagger.writing import check_free
from model.text.folder import write_text_folder
from streams.cli.models.faults import faults_told


@click.command(short_help="Read words in images, by PP-OCR (the extra `text`).")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The model folder to write.")
def text(out: Path) -> None:
    """Write the model folder of an add-on that reads words in images.

    Its weights come from the package rapidocr. Results tell the words beside the tags; they are no tags,
    unless TAGSTREAM_TEXT_TAGS says so. docs/own-models.md says what is read and what it costs.

    Exit codes: 0 done; 78 the package is missing, or the folder cannot be written.
    """
    with faults_told("model text", out):
        check_free(out)
        write_text_folder(out)
    click.echo(f"{out} is a model folder; offer it: TAGSTREAM_ADD_ONS=imagga_tagging,text_tagging={out}")
