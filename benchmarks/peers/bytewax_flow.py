"""Bytewax: a dataflow whose step takes batches, in a cluster of as many processes as are best.

The step fetches its batch over eight connections at a time (urllib3 in threads), then decodes and infers it
at once. While it fetches, its core idles, so more processes than cores can pay. There is no recovery store,
so it promises nothing.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import urllib3
from bytewax import operators as op
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow

from benchmarks.peers.work import BATCH, result, url_of
from model import Tagger

_BOOTSTRAP, _UPLOADS, _RESULTS = (os.environ[f"PEER_{name}"] for name in ("BOOTSTRAP", "UPLOADS", "RESULTS"))
_MODEL = os.environ.get("PEER_MODEL")

_tagger = Tagger.load(Path(_MODEL) if _MODEL else None)
_pool = urllib3.PoolManager(maxsize=BATCH)
_threads = ThreadPoolExecutor(BATCH)


def _fetch(message: KafkaSourceMessage) -> bytes:
    return _pool.request("GET", url_of(message.value)).data


def _tag(messages: list[KafkaSourceMessage]) -> list[KafkaSinkMessage]:
    tagged = []
    for start in range(0, len(messages), BATCH):
        batch = messages[start : start + BATCH]
        found = _tagger.tag(list(_threads.map(_fetch, batch)))
        tagged += [
            KafkaSinkMessage(message.key, result(message.value, tags))
            for message, tags in zip(batch, found, strict=True)
        ]
    return tagged


flow = Dataflow("tagging")
_events = op.input("events", flow, KafkaSource([_BOOTSTRAP], [_UPLOADS], batch_size=BATCH))
_tagged = op.flat_map_batch("tag", _events, _tag)
op.output("results", _tagged, KafkaSink([_BOOTSTRAP], _RESULTS))
