"""What images that look alike and similar images cost: memory of a query worker, and time of a question.

    python benchmarks/alike.py [--images 100000] [--rounds 30]

Synthetic images with hashes and embeddings by chance. A question is computed as in its thread, without HTTP.
Then what embeddings add to the CPU time of a photo.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from model import DEFAULT_ARTIFACT, Tagger, decode_views
from model.embedding.codes import BYTES
from model.embedding.embedder import Embedder
from model.embedding.embedding import Embedding
from streams.state.images.alike import groups
from streams.state.images.hashes import Hashes, HashIndex, Looks

PHOTOS = sorted((Path(__file__).parents[1] / "streams" / "photos").glob("*.jpg"))
NEAREST = 21


def main() -> None:
    """Print a line for each figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    chance = np.random.default_rng(1)
    numbers = chance.integers(0, 2**63, options.images).tolist()
    packed = chance.integers(0, 256, (options.images, BYTES), dtype=np.uint8)
    hashes = filled(numbers, packed)
    asked = packed[0].tobytes()
    questions: dict[str, Callable[[], object]] = {
        "duplicates": lambda: hashes.told(hashes.within(numbers[0], 8), numbers[0], 8),
        "similar": lambda: hashes.told_similar(hashes.similar(asked, NEAREST), asked),
        "groups": lambda: groups(hashes.known(), 3),
    }
    for name, ask in questions.items():
        rounds = 3 if name == "groups" else options.rounds
        print(f"{name}: {milliseconds(ask, rounds):.2f} ms of {options.images:,} images")
    embedding_costs(options.rounds)


def filled(numbers: list[int], packed: np.ndarray) -> Hashes:
    """An index of so many images; prints what memory it takes for each."""
    names, before = [f"image-{number}" for number in range(len(numbers))], resident()
    index = HashIndex()
    for place, (name, number) in enumerate(zip(names, numbers, strict=True)):
        index.put("", (place % 8, name), Looks(number, packed[place].tobytes()))
    print(f"memory: {(resident() - before) / len(numbers):.0f} bytes for an image, names left out")
    return index.of("")


def embedding_costs(rounds: int) -> None:
    """Print the CPU time of a photo's network, with features and without, and of its embedding."""
    embedder = Embedder()
    (plain,) = Tagger.load_all([DEFAULT_ARTIFACT])
    (telling,) = Tagger.load_all([DEFAULT_ARTIFACT], inner={DEFAULT_ARTIFACT: embedder.width})
    squares = [decode_views(path.read_bytes(), (plain.view,)).squares[plain.view] for path in PHOTOS]
    embedding, outputs = Embedding(telling, embedder), telling.source.outputs(squares)
    figures = {
        "network": lambda: plain.source.outputs(squares),
        "network with features": lambda: telling.source.outputs(squares),
        "embedding": lambda: embedding.embed(outputs),
    }
    for name, work in figures.items():
        print(f"{name}: {milliseconds(work, rounds) / len(squares):.3f} ms for a photo")


def milliseconds(work: Callable[[], object], rounds: int) -> float:
    """The median CPU time."""
    took = []
    for _ in range(rounds):
        began = time.thread_time()
        work()
        took.append(time.thread_time() - began)
    return statistics.median(took) * 1000


def resident() -> int:
    """Bytes that this process has in memory."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


if __name__ == "__main__":
    main()
