"""ClickHouse's engine answers from the published topics as the API does, after kills."""

import json
import random
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.cluster import Cluster
from support.engines.clickhouse import ClickHouse, is_installed, running
from support.examples import EXAMPLES, Programs, until

from schemas.uploads import UploadData

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.slow,
    pytest.mark.skipif(not is_installed(), reason="`make engines` installs chDB"),
]
IMAGES = 4000
HOUR = 3600
EPOCH = "1970-01-01T00:00:00Z"


def text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def uploads(numbers: range, version: int, now: int) -> list[UploadData]:
    """Of three days and two tenants, with some of 30 tags each; the same for the same numbers and version."""
    found = []
    for number in numbers:
        dice = random.Random(f"{number}/{version}")
        tags = {
            f"tag {dice.randrange(1 + dice.randrange(30))}": dice.choice((0.9, 0.71, 0.6)) for _ in range(4)
        }
        scores = json.dumps(tags, separators=(",", ":")).replace('"', "%22").replace(" ", "%20")
        found.append(
            UploadData(
                public_id=f"it's image {number}",
                tenant="acme" if number % 5 == 0 else None,
                user_id=f"user {number % 7}",
                url=f"data:application/json,{scores}",
                uploaded_at=text(now - number * 65),
                version=version,
                auto_tagging=0.5,
            )
        )
    return found


class Compared:
    """Asks both the same, of one tenant.

    Attributes:
        since, until: Whole hours that most images lie in.
    """

    def __init__(self, cluster: Cluster, clickhouse: ClickHouse, tenant: str, now: int) -> None:
        self._cluster = cluster
        self._clickhouse = clickhouse
        self._tenant = tenant
        self.since, self.until = text(now // HOUR * HOUR - 40 * HOUR), text(now // HOUR * HOUR)

    async def api(self, path: str) -> Any:  # noqa: ANN401 - JSON
        return await self._cluster.get(0, f"{path}{'&tenant=acme' if self._tenant else ''}")

    async def sql(self, name: str, **parameters: object) -> list[dict[str, Any]]:
        return await self._clickhouse.ask(name, tenant=self._tenant, **parameters)

    async def same_top(self) -> None:
        """Of all time, and of some hours."""
        everything = {"window": "all", "since": EPOCH, "until": "2100-01-01T00:00:00Z"}
        hours = {"window": "hour", "since": self.since, "until": self.until}
        asked = {"window=all": everything, f"from={self.since}&to={self.until}": hours}
        for query, parameters in asked.items():
            told = (await self.api(f"/trends/top?limit=100&{query}"))["tags"]
            found = await self.sql("top", limit=100, **parameters)
            assert [(row["tag"], row["images"]) for row in found] == [
                (row["tag"], row["count"]) for row in told
            ]
            assert len(found) > 20

    async def same_series(self) -> None:
        """Hour by hour; ClickHouse has no row where there is none."""
        told = await self.api(f"/trends/tags/tag%200?from={self.since}&to={self.until}")
        found = await self.sql("series", window=told["step"], tag="tag 0", since=self.since, until=self.until)
        points = [(moment(row["start"]), row["images"]) for row in found]
        assert points == [(moment(row["start"]), row["count"]) for row in told["points"] if row["count"]]
        assert points

    async def same_images(self) -> None:
        """Those with two tags, newest first, and how many there are."""
        told = await self.api("/images?all=tag%200,tag%201&limit=20")
        found = await self.sql("images", tags="['tag 0','tag 1']", limit=20)
        assert [
            (
                row["public_id"],
                moment(row["uploaded_at"]),
                row["user_id"],
                pytest.approx(row["confidence"], abs=1e-3),
            )
            for row in found
        ] == [
            (row["public_id"], moment(row["uploaded_at"]), row["user_id"], row["confidence"])
            for row in told["images"]
        ]
        assert {row["total"] for row in found} == {told["total"]}

    async def same_interests(self) -> None:
        """Of a user, with the weights of today."""
        told = (await self.api("/users/user%203/interests?limit=100"))["interests"]
        found = await self.sql("interests", user_id="user 3", limit=100)
        assert {row["tag"]: (row["images"], pytest.approx(row["weight"])) for row in found} == {
            row["tag"]: (row["images"], row["weight"]) for row in told
        }
        assert found

    async def same_image(self, number: int) -> None:
        """With who gave each tag, and how sure."""
        name = f"it's image {number}"
        told = await self.api(f"/images/{name.replace(' ', '%20')}?")
        found = await self.sql("image", public_id=name)
        assert {(row["tag"], row["source"], row["confidence"]) for row in found} == {
            (
                tag["tag"],
                ",".join(tag["sources"]),
                round(max(each["confidence"] for each in tag["origins"]), 4),
            )
            for tag in told["tags"]
        }


def moment(shown: str) -> datetime:
    """What both mean."""
    found = datetime.fromisoformat(shown)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


async def change_everything(cluster: Cluster, now: int) -> int:
    """Upload, upload anew and delete, with a kill of the worker; how many records that are."""
    await cluster.publish(uploads(range(IMAGES), 1, now))
    await cluster.until_folded(IMAGES // 2)
    await cluster.kill(0)
    again = uploads(range(0, IMAGES, 10), 2, now)
    gone = [
        UploadData(public_id=f"it's image {n}", type="image.deleted", version=3) for n in range(1, IMAGES, 50)
    ]
    await cluster.publish([*again, *gone])
    await cluster.start(0)
    await cluster.until_ready([0])
    return IMAGES + len(again) + len(gone)


async def test_clickhouse_answers_as_the_api_does(cluster: Cluster, tmp_path: Path) -> None:
    """Top, series, images by tags, a user's interests and one image; the worker and the feed are killed."""
    now = int(time.time())
    async with running(tmp_path) as clickhouse:
        programs = Programs(
            {"KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap, "TAGSTREAM_TOPIC_PREFIX": cluster.names.prefix}
        )
        command = (str(EXAMPLES / "clickhouse" / "feed.py"), clickhouse.url)

        async def filled() -> bool:
            [rows] = await clickhouse.query("SELECT count() AS rows FROM image_tags")
            return bool(rows["rows"])

        async with programs.running(tmp_path / "feed.log", *command) as feed:
            records = await change_everything(cluster, now)
            await until(filled)
            await feed.kill()
        await cluster.until_folded(records)
        async with programs.running(tmp_path / "feed.log", *command):
            await until(lambda: caught_up(cluster, clickhouse))
            await until(lambda: is_complete(cluster))
        for tenant in ("", "acme"):
            compared = Compared(cluster, clickhouse, tenant, now)
            await compared.same_top()
            await compared.same_series()
            await compared.same_images()
            await compared.same_interests()
            await compared.same_image(30 if tenant else 31)


async def caught_up(cluster: Cluster, clickhouse: ClickHouse) -> bool:
    """Whether the tables have the last record of each topic and partition."""
    newest = """SELECT max(kafka_offset) AS newest FROM {table:Identifier}
        GROUP BY kafka_partition ORDER BY kafka_partition"""
    same = []
    for topic, table in ((cluster.names.image_tags, "image_tags"), (cluster.names.tag_counts, "tag_counts")):
        found = await clickhouse.query(newest, table=table)
        ends: dict[int, int] = {}
        for record in await cluster.read(topic):
            ends[record.partition] = record.offset
        same.append([row["newest"] for row in found] == [ends[place] for place in sorted(ends)])
    return all(same)


async def is_complete(cluster: Cluster) -> bool:
    """Whether the API's answers are of everything."""
    told = await cluster.get(0, "/trends/top")
    return bool(told["complete"]) and all(state["lag"] == 0 for state in told["as_of"])
