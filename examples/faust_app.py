"""Count results per tag in a table of one's own, with stock Faust.

Run: faust -A examples.faust_app worker --web-port 6068
Ask: curl http://127.0.0.1:6068/counts/
Set: KAFKA_BOOTSTRAP_SERVERS (localhost:9092), TAGSTREAM_TOPIC_PREFIX (empty)

The counts are as exact as Faust's transactions: what a kill of this program does to them was not tested.
"""

import os

import faust

SERVERS = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
PREFIX = os.environ.get("TAGSTREAM_TOPIC_PREFIX", "")

app = faust.App(
    f"{PREFIX}tag-counts",
    broker=[f"kafka://{server}" for server in SERVERS.split(",")],
    processing_guarantee="exactly_once",  # the one way to make Faust skip what a transaction aborted
    topic_partitions=4,  # of the topics that this application makes
)
categorizations = app.topic(f"{PREFIX}image.categorizations", key_type=str)
assigned_tags = app.topic(f"{PREFIX}assigned-tags", key_type=str, value_type=str, internal=True)
counts = app.Table("counts", default=int, help="Results per tag.")


@app.agent(categorizations)
async def split_tags(results: faust.StreamT) -> None:
    """Send each tag of a result to the partition that counts it."""
    async for result in results:
        for tag in result["tags"]:
            await assigned_tags.send(key=tag, value=result["public_id"])


@app.agent(assigned_tags)
async def count_tags(tags: faust.StreamT) -> None:
    """Count each tag in the partition of its name."""
    async for tag, _ in tags.items():  # noqa: PERF102 - a stream, no dict
        counts[tag] += 1


@app.page("/counts/")
async def show_counts(web: faust.web.Web, _request: faust.web.Request) -> faust.web.Response:
    """Answer with the counts of this worker's partitions."""
    return web.json(dict(counts.items()))
