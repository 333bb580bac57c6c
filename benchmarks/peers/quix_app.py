"""Quix Streams: a function over a dataframe, one event at a time, in as many processes as are best.

It has neither batches nor asynchronous functions; a connection that is kept (urllib3) and the decoder that we
use are the best one can do inside of one process. Its processes are members of one consumer group; at least
once, with its own commits every five seconds.
"""

import urllib3
from quixstreams import Application

from benchmarks.peers.work import assignment, result, url_of
from model import Tagger


def main() -> None:
    """Work until killed."""
    mine = assignment()
    tagger = Tagger.load(mine.model)
    pool = urllib3.PoolManager()

    def tag(event: bytes) -> bytes:
        data = pool.request("GET", url_of(event)).data
        return result(event, tagger.tag([data])[0])

    app = Application(
        mine.bootstrap,
        consumer_group=mine.uploads,
        auto_offset_reset="earliest",
        auto_create_topics=False,
        loglevel="WARNING",
    )
    events = app.topic(mine.uploads, value_deserializer="bytes", key_deserializer="bytes")
    results = app.topic(mine.results, value_serializer="bytes", key_serializer="bytes")
    app.dataframe(events).apply(tag).to_topic(results)
    app.run()


if __name__ == "__main__":
    main()
