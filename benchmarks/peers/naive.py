"""The loop that one writes first: one event after the other, each to its end.

A new connection per image (`httpx.get`), Pillow's full decode, a batch of one with ONNX Runtime's defaults (a
thread per core inside), the result flushed and the offset committed before the next event.
"""

import io

import httpx
import numpy as np
import onnxruntime
from confluent_kafka import Consumer, Producer
from PIL import Image

from benchmarks.peers.work import assignment, result, url_of
from model import Tag
from model.tagger.manifest import read_labels, read_manifest
from model.tagger.tagger import DEFAULT_ARTIFACT

_FLOOR = 0.01


def main() -> None:
    """Work until killed."""
    mine = assignment()
    folder = mine.model or DEFAULT_ARTIFACT
    manifest = read_manifest(folder)
    labels = read_labels(folder / manifest.labels)
    session = onnxruntime.InferenceSession(str(folder / manifest.graph))
    pixels_in, size = session.get_inputs()[0].name, manifest.input.size
    consumer = Consumer(
        {
            "bootstrap.servers": mine.bootstrap,
            "group.id": mine.uploads,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([mine.uploads])
    producer = Producer({"bootstrap.servers": mine.bootstrap})
    while True:
        message = consumer.poll(1.0)
        if message is None or message.error():
            continue
        data = httpx.get(url_of(message.value())).content
        image = Image.open(io.BytesIO(data)).convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
        (outputs,) = session.run(None, {pixels_in: np.asarray(image)[None]})
        exponentials = np.exp((outputs[0] - outputs[0].max()) / manifest.temperature)
        chances = exponentials / exponentials.sum()
        best = sorted(np.nonzero(chances >= _FLOOR)[0], key=lambda index: -chances[index])
        tags = [Tag(labels[index], float(chances[index]), float(chances[index])) for index in best]
        producer.produce(mine.results, result(message.value(), tags), message.key())
        producer.flush()
        consumer.commit(message, asynchronous=False)


if __name__ == "__main__":
    main()
