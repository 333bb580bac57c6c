"""What a worker answers over HTTP, against the oracle."""

import asyncio
import contextlib
import functools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import httpx
from support.cluster import Cluster
from support.judge.audit_tables import Findings
from support.judge.oracle import SLOW, Partition, Trend, TrendKey

_PATIENCE = 30.0  # seconds in which a follower must have caught up
_ASKED = 40  # images, users, tags and hours that are asked about
_TENANTS = ("", "acme")
Partitions = dict[int, Partition]


class Question(NamedTuple):
    """A question whose answer is known.

    Attributes:
        route: As the OpenAPI document names it.
        read: Takes what is compared out of the answer.
    """

    route: str
    path: str
    parameters: dict[str, str]
    must: object
    read: Callable[[Any], object]


async def compare_answers(cluster: Cluster, worker: int, partitions: Partitions, findings: Findings) -> None:
    """Ask one worker whatever its API offers and the oracle knows."""
    offered = (await _get(cluster, worker, "/openapi.json"))["paths"]
    positions = {number: partition.next for number, partition in partitions.items()}
    told = await _until_caught_up(cluster, worker, positions)
    findings.check("answers", f"worker {worker}: positions", positions, told)
    for question in _questions(partitions):
        if question.route in offered:
            parameters = {name: text for name, text in question.parameters.items() if text}
            path = f"{question.path}?{urlencode(parameters)}"
            answer = await _get(cluster, worker, path)
            refused = "error" in answer or not answer["complete"] or answer["behind"]
            is_ = answer if refused else question.read(answer)
            findings.check("answers", f"worker {worker}: GET {path}", question.must, is_)


async def _until_caught_up(cluster: Cluster, worker: int, positions: dict[int, int]) -> dict[int, int]:
    told: dict[int, int] = {}
    complete = False
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            while told != positions or not complete:
                answer = await _get(cluster, worker, "/trends/top?window=all")
                told = {state["partition"]: state["next_offset"] for state in answer.get("as_of", ())}
                complete = answer.get("complete", False) and not answer["behind"]
                await asyncio.sleep(0.2)
    await asyncio.sleep(1)  # a follower may know a position a moment before the counts that belong to it
    return told


def _questions(partitions: Partitions) -> Iterator[Question]:
    yield from _about_windows(partitions)
    yield from _about_tags(partitions)
    yield from _about_images(partitions)
    yield from _about_users(partitions)


def _about_windows(partitions: Partitions) -> Iterator[Question]:
    """Ask for the top of all time and of every day and many hours, also per add-on."""
    counts: dict[tuple[str, str, int], Counter[str]] = defaultdict(Counter)
    by_add_on: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for (tenant, window, start, tag), trend in _trends(partitions):
        counts[tenant, window, start][tag] += trend.n
        if window == "all":
            for name, number in trend.by.items():
                by_add_on[tenant, name][tag] += number
    asked = Counter[str]()
    for (tenant, window, start), tags in sorted(counts.items(), key=lambda item: -item[0][2]):
        asked[window] += 1
        if window != "minute" and asked[window] <= _ASKED:
            yield _top(tags, window=_window_name(window, start), tenant=tenant)
    for (tenant, name), tags in by_add_on.items():
        yield _top(tags, window="all", tenant=tenant, add_on=name)


def _top(tags: Counter[str], **parameters: str) -> Question:
    ranked = sorted(tags.items(), key=lambda item: (-item[1], item[0]))
    return Question("/trends/top", "/trends/top", {**parameters, "limit": "1000"}, ranked, _tag_counts)


def _tag_counts(answer: Any) -> object:  # noqa: ANN401 - JSON
    return [(row["tag"], row["count"]) for row in answer["tags"]]


def _about_tags(partitions: Partitions) -> Iterator[Question]:
    """Ask for all tags, and for the series and the images of each."""
    days: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    totals: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for (tenant, window, start, tag), trend in _trends(partitions):
        if window == "day":
            days[tenant, tag][start] += trend.n
        if window == "all":
            totals[tenant, tag] += Counter({"": trend.n, **trend.by})
    for tenant in _TENANTS:
        names = sorted((tag, by[""]) for (owner, tag), by in totals.items() if owner == tenant)
        yield Question("/tags", "/tags", {"tenant": tenant, "limit": "1000"}, names, _tag_counts)
    for (tenant, tag), by in sorted(totals.items())[:_ASKED]:
        series = {"window": "all", "step": "day", "tenant": tenant}
        must = (by.pop(""), dict(by), {_moment(start): n for start, n in days[tenant, tag].items()})
        path = f"/trends/tags/{quote(tag, safe='')}"
        yield Question("/trends/tags/{tag}", path, series, must, _series)
        found = {"all": tag, "limit": "1", "tenant": tenant}
        if "," not in tag:
            yield Question("/images", "/images", found, must[0], lambda answer: answer["total"])


def _series(answer: Any) -> object:  # noqa: ANN401 - JSON
    points = {point["start"]: point["count"] for point in answer["points"] if point["count"]}
    return answer["total"], answer["by_add_on"], points


def _about_images(partitions: Partitions) -> Iterator[Question]:
    images = [pair for partition in partitions.values() for pair in partition.images.items()]
    for key, image in images[:: max(len(images) // _ASKED, 1)]:
        must = {
            "user_id": image.user,
            "version": image.version,
            "url": image.shown.url,
            "deleted": image.deleted,
            "tags": list(image.sources),
            "cause": image.cause,
            "history": [(change["added"], change["removed"]) for change in image.history],
        }
        if key[1].startswith(SLOW):
            del must["history"]
        read = functools.partial(_image, names=tuple(must))
        yield Question("/images/{public_id}", f"/images/{quote(key[1])}", {"tenant": key[0]}, must, read)


def _image(answer: Any, names: Iterable[str]) -> object:  # noqa: ANN401 - JSON
    told = {name: answer.get(name) for name in ("user_id", "version", "url", "deleted")}
    told["tags"] = [row["tag"] for row in answer["tags"]]
    told["cause"] = [answer["cause"][name] for name in ("source", "id", "type")]
    told["history"] = [(change["added"], change["removed"]) for change in answer["history"]]
    return {name: told[name] for name in names}


def _about_users(partitions: Partitions) -> Iterator[Question]:
    interests: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for partition in partitions.values():
        for (tenant, user, _), tags in partition.interests().items():
            interests[tenant, user] += tags
    for (tenant, user), tags in sorted(interests.items())[:_ASKED]:
        yield Question(
            "/users/{user_id}/interests",
            f"/users/{quote(user)}/interests",
            {"tenant": tenant, "limit": "1000"},
            dict(tags),
            lambda answer: {row["tag"]: row["images"] for row in answer["interests"]},
        )


def _trends(partitions: Partitions) -> Iterator[tuple[TrendKey, Trend]]:
    for partition in partitions.values():
        yield from partition.trends().items()


def _window_name(window: str, start: int) -> str:
    if window == "all":
        return window
    return datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%d" if window == "day" else "%Y-%m-%dT%H")


def _moment(start: int) -> str:
    return datetime.fromtimestamp(start, UTC).isoformat().replace("+00:00", "Z")


async def _get(cluster: Cluster, worker: int, path: str) -> Any:  # noqa: ANN401 - JSON
    async with asyncio.timeout(_PATIENCE):
        while True:
            with contextlib.suppress(httpx.TransportError):
                return await cluster.get(worker, path)
            await asyncio.sleep(0.2)
