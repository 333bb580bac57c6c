"""Count results per tag in a table of one's own, with stock Faust.

Run: faust -A examples.faust_app worker --web-port 6068
Ask: curl http://127.0.0.1:6068/counts/
Set: KAFKA_BOOTSTRAP_SERVERS (localhost:9092), TAGSTREAM_TOPIC_PREFIX (empty)
"""

import os

import faust

SERVERS = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
PREFIX = os.environ.get("TAGSTREAM_TOPIC_PREFIX", "")

app = faust.App(
    f"{PREFIX}tag-counts",
    broker="kafka://" + SERVERS.replace(",", ";"),
    value_serializer="json",
    # Reads with isolation level read_committed, as all who read Tagstream's results should.
    processing_guarantee="exactly_once",
)
categorizations = app.topic(f"{PREFIX}image.categorizations", key_type=str)
assigned_tags = app.topic(f"{PREFIX}assigned-tags", key_type=str, value_type=str, internal=True, partitions=4)
counts = app.Table("counts", default=int, partitions=4)


@app.agent(categorizations)
async def split_tags(results: faust.StreamT) -> None:
    """Send each tag to the partition that counts it."""
    async for result in results:
        for tag in result["tags"]:
            await assigned_tags.send(key=tag, value=result["public_id"])


@app.agent(assigned_tags)
async def count_tags(tags: faust.StreamT) -> None:
    """Count each tag in the partition of its name."""
    async for tag, _ in tags.items():
        counts[tag] += 1


@app.page("/counts/")
async def show_counts(web: faust.web.Web, _request: faust.web.Request) -> faust.web.Response:
    """All counts that this worker holds."""
    return web.json(dict(counts.items()))
