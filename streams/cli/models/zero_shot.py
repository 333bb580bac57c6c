"""`tagstream model zero-shot`: words as tags, by an image encoder and its text encoder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click
from rich.console import Console
from rich.progress import Progress

from model import ManifestError
from model.evaluation.labels import LabelsError, check_files, counted, read_rows
from model.tagger.writing import About, check_free
from model.zero_shot.building import ImageEncoder, Scoring, calibrated, check_widths, embed_words, write
from model.zero_shot.encoder_files import Pixels
from model.zero_shot.text import TextEncoder
from model.zero_shot.words import DEFAULT_PROMPTS, PHOTO_WORDS, Word, check_templates, read_words
from streams.cli.models.faults import faults_told

_COMMAND = "model zero-shot"
_PATH = click.Path(path_type=Path)
_SHARPNESS = 100.0  # CLIP's, at the end of its training


@dataclass(frozen=True)
class _Wanted:
    """How probabilities come about; `photos` are labelled ones to calibrate by."""

    activation: Literal["sigmoid", "softmax"]
    scale: float | None
    bias: float | None
    photos: tuple[Path, Path] | None
    precision: float | None


@click.command("zero-shot", short_help="Make tags of words, by a pair of encoders (CLIP, SigLIP).")
@click.argument("encoder", type=_PATH)
@click.argument("labels", type=_PATH, metavar="[LABELS.TXT]", required=False)
@click.option("--text-encoder", "text_graph", type=_PATH, required=True, help="Its text encoder, in ONNX.")
@click.option("--out", type=_PATH, required=True, help="The model folder to write.")
@click.option(
    "--tokenizer", type=_PATH, help="tokenizer.json. [beside the text encoder, or one folder above]"
)
@click.option(
    "--prompt", "templates", multiple=True, help="With {} for a label; may be said several times. [three]"
)
@click.option(
    "--activation",
    type=click.Choice(["sigmoid", "softmax"]),
    default="sigmoid",
    show_default=True,
    help="sigmoid: each label by itself; softmax: labels exclude each other.",
)
@click.option(
    "--scale", type=click.FloatRange(min=0, min_open=True), help="Multiplies the likeness. [softmax: 100]"
)
@click.option("--bias", type=float, help="Is added then; sigmoid only.")
@click.option(
    "--calibrate",
    "photos",
    nargs=2,
    type=_PATH,
    metavar="FOLDER LABELS.CSV",
    help="Fit scale, bias, thresholds.",
)
@click.option(
    "--precision", type=click.FloatRange(0, 1), help="For --calibrate: thresholds that keep it. [best F1]"
)
@click.option("--size", type=click.IntRange(16, 2048), help="Side of the images. [as the files say]")
@click.option("--mean", nargs=3, type=float, help="Of red, green and blue, 0 to 1. [as the files say]")
@click.option("--std", nargs=3, type=float, help="Likewise. [as the files say]")
@click.option("--image-output", help="The image encoder's tensor that is the embedding. [by its name]")
@click.option("--text-output", help="Likewise of the text encoder.")
@click.option(
    "--text-length", type=click.IntRange(1, 4096), help="Tokens to fill up to (SigLIP: 64). [as needed]"
)
@click.option("--name", help="Of the model, in results. [the folder's]")
@click.option("--model-version", "version", default="1", show_default=True, help="Raise it with each change.")
@click.option("--licence", default="see the checkpoint's", show_default=True, help="Of the encoder.")
def zero_shot(  # noqa: PLR0917 - click passes each option by name
    encoder: Path,
    labels: Path | None,
    text_graph: Path,
    out: Path,
    tokenizer: Path | None,
    templates: tuple[str, ...],
    activation: Literal["sigmoid", "softmax"],
    scale: float | None,
    bias: float | None,
    photos: tuple[Path, Path] | None,
    precision: float | None,
    size: int | None,
    mean: tuple[float, float, float] | None,
    std: tuple[float, float, float] | None,
    image_output: str | None,
    text_output: str | None,
    text_length: int | None,
    name: str | None,
    version: str,
    licence: str,
) -> None:
    """Embed labels with a text encoder, and write a model folder of the image ENCODER and these embeddings.

    LABELS.TXT has a label on each line, or, with tabs between, a label, its phrases for prompts and more
    general words, the latter two split by ";". Without it, it is the 550 words for photos that come along.

    A worker runs the image encoder and one multiplication; the text encoder is not needed there. A label's
    probability is the sigmoid of scale x likeness + bias: with --scale and --bias of a SigLIP checkpoint, or
    with those that --calibrate fits to labelled photos, as suits CLIP. Or it is the softmax over all labels.
    More general words are as likely as the likeliest label below them.

    Exit codes: 0 when done, 2 when labels or photos are wrong, 78 when a file of the encoders or the folder
    cannot be used.
    """
    about = About(name or out.resolve().name, version, f"{encoder.name} and {text_graph.name}", licence)
    wanted = _Wanted(activation, scale, bias, photos, precision)
    with faults_told(_COMMAND, out):
        check_free(out)
        _check(wanted)
        check_templates(templates)
        words = read_words(labels or PHOTO_WORDS)
        image = ImageEncoder(encoder, Pixels(size, mean, std), image_output)
        text = TextEncoder(text_graph, tokenizer, output=text_output, length=text_length)
        scoring = _build(out, about, image, text, words=words, templates=templates, wanted=wanted)
    click.echo(f"{out} is ready: offer it with TAGSTREAM_ADD_ONS=...,{about.name}={out}")
    told = f"scale={scoring.scale:.4g} bias={scoring.bias:.4g} thresholds={len(scoring.thresholds)}"
    click.echo(f"labels={len(words)} activation={scoring.activation} {told}")


def _check(wanted: _Wanted) -> None:
    if wanted.photos is not None:
        if wanted.activation == "softmax" or wanted.scale is not None or wanted.bias is not None:
            raise ManifestError(
                "--calibrate fits a sigmoid's scale and bias: leave out the options that say them"
            )
    elif wanted.activation == "sigmoid" and (wanted.scale is None or wanted.bias is None):
        cure = (
            "give the checkpoint's (SigLIP), fit them with --calibrate, or take --activation softmax (CLIP)"
        )
        raise ManifestError(f"a sigmoid needs --scale and --bias: {cure}")
    elif wanted.activation == "softmax" and wanted.bias is not None:
        raise ManifestError(f"--bias {wanted.bias:g} changes nothing in a softmax: leave it out")


def _build(
    out: Path,
    about: About,
    image: ImageEncoder,
    text: TextEncoder,
    *,
    words: list[Word],
    templates: tuple[str, ...],
    wanted: _Wanted,
) -> Scoring:
    with Progress(console=Console(stderr=True), transient=True) as progress:
        reading = progress.add_task("embedding labels", total=len(words))
        templates = templates or DEFAULT_PROMPTS
        embeddings = embed_words(words, templates, text, lambda: progress.advance(reading))
        check_widths(image, embeddings)
        if wanted.photos is None:
            scale = wanted.scale or _SHARPNESS
            scoring = Scoring(wanted.activation, scale, wanted.bias or 0.0, {})
        else:
            folder, file = wanted.photos
            rows = read_rows(file)
            check_files(rows, folder)
            _check_known(rows, words)
            looking = progress.add_task("looking at photos", total=len(rows))
            scoring = calibrated(
                image,
                embeddings,
                words,
                photos=(folder, rows),
                precision=wanted.precision,
                advance=lambda count: progress.advance(looking, count),
            )
    write(out, about, image, embeddings, words=words, scoring=scoring)
    return scoring


def _check_known(rows: dict[str, list[str]], words: list[Word]) -> None:
    known = {word.name for word in words}
    unknown = sorted({tag for tags in rows.values() for tag in tags} - known)
    if unknown:
        shown = ", ".join(map(repr, unknown[:5]))
        cure = "correct the rows, or add them to the labels"
        raise LabelsError(f"{counted(len(unknown), 'tag')} of the photos no label: {shown}; {cure}")
