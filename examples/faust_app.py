"""Keep each image's tags in a table of one's own, with stock Faust, and count them on request.

Run: faust -A examples.faust_app worker --web-port 6068
Ask: curl http://127.0.0.1:6068/counts/
Set: KAFKA_BOOTSTRAP_SERVERS (localhost:9092), TAGSTREAM_TOPIC_PREFIX (empty)

A row is set, not counted up: a result that comes twice changes nothing. The table has the topic's keys and
partitions: what Faust sends to other partitions may wait in open transactions until an event comes there.
Ctrl-C in the middle of a transaction can end Faust 0.15.3 with an error, or not at all: then use kill.
"""

import os
from collections import Counter

import faust

SERVERS = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
PREFIX = os.environ.get("TAGSTREAM_TOPIC_PREFIX", "")

app = faust.App(
    f"{PREFIX}image-tags",
    broker=[f"kafka://{server}" for server in SERVERS.split(",")],
    processing_guarantee="exactly_once",  # the one way to make Faust skip what a transaction aborted
    topic_partitions=4,  # of the table's changelog: as many as the topic has
)
categorizations = app.topic(f"{PREFIX}image.categorizations", key_type=str)
tags_by_image = app.Table("tags_by_image", help="Tags of each image when it was last looked at.")


@app.agent(categorizations)
async def store_tags(results: faust.StreamT) -> None:
    """Store the tags of each result under its image."""
    async for public_id, result in results.items():
        tags_by_image[public_id] = result["tags"]


@app.page("/counts/")
async def show_counts(web: faust.web.Web, _request: faust.web.Request) -> faust.web.Response:
    """Answer with the number of images of each tag, in the partitions of this worker."""
    return web.json(Counter(tag for tags in tags_by_image.values() for tag in tags))
