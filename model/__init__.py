"""Bytes in, tags out: decode, resize, infer, name. No Kafka, no HTTP."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # set before it is loaded: it writes to disk, and sends

from model.decoding.decode import (
    DecodedImage,
    DecodedViews,
    ImageHeader,
    OpenedImage,
    decode,
    decode_views,
    open_image,
    read_header,
)
from model.decoding.errors import BadImageError
from model.decoding.opening import FORMATS
from model.decoding.pixels import View
from model.objects.objects import ObjectTagger
from model.parts.combined import CombinedTagger
from model.phash import SEEN, perceptual_hash
from model.scenes.scenes import SceneTagger
from model.tagger.manifest import ManifestError
from model.tagger.tagger import DEFAULT_ARTIFACT, Tagger
from model.tagger.vocabulary import Tag

__all__ = [
    "DEFAULT_ARTIFACT",
    "FORMATS",
    "SEEN",
    "BadImageError",
    "CombinedTagger",
    "DecodedImage",
    "DecodedViews",
    "ImageHeader",
    "ManifestError",
    "ObjectTagger",
    "OpenedImage",
    "SceneTagger",
    "Tag",
    "Tagger",
    "View",
    "decode",
    "decode_views",
    "open_image",
    "perceptual_hash",
    "read_header",
]
