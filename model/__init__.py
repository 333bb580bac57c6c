"""Bytes in, tags out: decode, resize, infer, name. No Kafka, no HTTP."""

from model.decode import DecodedImage, DecodedViews, decode, decode_views
from model.errors import BadImageError
from model.manifest import ManifestError
from model.pixels import View
from model.scenes import SceneTagger
from model.tagger import DEFAULT_ARTIFACT, Tagger
from model.vocabulary import Tag

__all__ = [
    "DEFAULT_ARTIFACT",
    "BadImageError",
    "DecodedImage",
    "DecodedViews",
    "ManifestError",
    "SceneTagger",
    "Tag",
    "Tagger",
    "View",
    "decode",
    "decode_views",
]
