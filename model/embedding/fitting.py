"""Fit the projection of embeddings to photos, and say what it keeps.

    python -m model.embedding.fitting PHOTOS HELD_OUT [--write]

The folders are those that benchmarks/evaluation_photos.py makes: tune and eval.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from model.decoding.decode import decode_views
from model.embedding.codes import BYTES, NUMBERS, decode, encode, likeness
from model.embedding.embedder import PROJECTION
from model.tagger.tagger import DEFAULT_ARTIFACT
from model.training.features import FeatureNetwork

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

NEAREST = 10
_LARGEST = 127  # of the projection's numbers


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit, measure, and write if that is wanted."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path)
    parser.add_argument("held_out", type=Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args(arguments)
    projection = fitted(_features(options.photos))
    features = _features(options.held_out)
    chance = np.random.default_rng(0).standard_normal((features.shape[1], NUMBERS)).astype(np.float32)
    sys.stdout.write(
        f"photos={len(features)} recall_at_{NEAREST}={recall(features, projection):.3f} "
        f"random_projection={recall(features, chance):.3f}\n"
    )
    if options.write:
        np.save(PROJECTION, projection)
    return 0


def fitted(features: NDArray[np.float32]) -> NDArray[np.int8]:
    """The directions in which features, each of length 1, are largest: int8, shape (features, 64)."""
    _, _, directions = np.linalg.svd(_of_length_1(features), full_matrices=False)
    best = directions[:NUMBERS].T
    projection: NDArray[np.int8] = np.rint(best / np.abs(best).max() * _LARGEST).astype(np.int8)
    return projection


def recall(features: NDArray[np.float32], projection: NDArray[np.float32] | NDArray[np.int8]) -> float:
    """The share of each image's nearest by all features that are among its nearest by embeddings."""
    whole = _of_length_1(features)
    exact = _nearest(whole @ whole.T)
    codes = [decode(text) if text else None for text in encode(features @ projection.astype(np.float32))]
    packed = np.frombuffer(b"".join(code or bytes(BYTES) for code in codes), np.uint8).reshape(-1, BYTES)
    told = _nearest(np.stack([likeness(packed, each) for each in packed]))
    return float(
        np.mean([len({*a} & {*b}) / NEAREST for a, b in zip(exact.tolist(), told.tolist(), strict=True)])
    )


def _nearest(likenesses: NDArray[np.float32]) -> NDArray[np.intp]:
    alone = likenesses - 9 * np.eye(len(likenesses), dtype=np.float32)
    return np.argsort(-alone, axis=1)[:, :NEAREST]


def _of_length_1(features: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths: NDArray[np.float32] = np.linalg.norm(features, axis=1, keepdims=True)
    return features / lengths


def _features(folder: Path) -> NDArray[np.float32]:
    network = FeatureNetwork(DEFAULT_ARTIFACT)
    files = [path.read_bytes() for path in sorted(folder.glob("*.jpg"))]
    squares = (decode_views(data, (network.view,)).squares[network.view] for data in files)
    return np.concatenate([network.outputs([each]) for each in squares])


if __name__ == "__main__":
    sys.exit(main())
