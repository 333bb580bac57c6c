"""Several add-ons over one image: one decode, one run per network, and failures that stay alone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from model import Tag, View
from streams.tag import pool as tagger_pool
from streams.tag.inference import Request, infer, views
from streams.tag.pool import TaggerPool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

PHOTO = (Path(__file__).parents[2] / "streams" / "photos" / "koala.jpg").read_bytes()


class Network:
    """A network whose output for each image is its mean brightness."""

    def __init__(self, size: int, *, broken: bool = False) -> None:
        self.view = View(size)
        self.source = self
        self.columns = slice(None)
        self.broken = broken
        self.runs: list[int] = []

    def outputs(self, squares: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        self.runs.append(len(squares))
        if self.broken:
            raise RuntimeError("out of memory\nat 0x7f00")
        return np.array([[square.mean()] for square in squares], np.float32)


class AddOn:
    """Names what its network gives, and maybe what it sees itself."""

    def __init__(self, network: Network, glance: View | None = None, fails_on: float = -1) -> None:
        self.networks = (network,)
        self.glance = glance
        self.tag_names = ("seen",)
        self._fails_on = fails_on

    def tags(
        self, outputs: Sequence[NDArray[np.float32]], glances: Sequence[NDArray[np.uint8]]
    ) -> list[list[Tag]]:
        (rows,) = outputs
        assert len(glances) == (0 if self.glance is None else len(rows))
        if self._fails_on in rows:
            raise ValueError("cannot be named")
        return [[Tag("seen", float(row[0]), 1.0)] for row in rows]


def request(brightness: int, *add_ons: str, sizes: Sequence[int] = (8,)) -> Request:
    squares = {View(size): np.full((1, size, size, 3), brightness, np.uint8) for size in sizes}
    return Request(add_ons, squares)


def test_add_ons_share_a_network() -> None:
    """It runs once for all images and all add-ons that take its outputs."""
    shared, own = Network(8), Network(16)
    offered = {"a": AddOn(shared), "b": AddOn(shared, View(4)), "c": AddOn(own)}
    assert views(offered, ["a", "b", "c"]) == {View(8), View(16), View(4)}
    requests = [
        request(10, "a", "b", sizes=(8, 4)),
        request(20, "a"),
        request(30, "b", "c", sizes=(4, 8, 16)),
    ]
    found = infer(offered, requests)
    assert [sorted(tags) for tags in found] == [["a", "b"], ["a"], ["b", "c"]]
    assert (shared.runs, own.runs) == ([3], [1])
    assert found[2]["b"] == [Tag("seen", 30.0, 1.0)]


def test_a_network_that_fails_takes_its_own_add_ons_along() -> None:
    """The others' tags are there all the same."""
    broken = Network(8, broken=True)
    offered = {"a": AddOn(Network(8)), "b": AddOn(broken), "c": AddOn(broken)}
    (found,) = infer(offered, [request(10, "a", "b", "c")])
    assert {name: type(tags).__name__ for name, tags in found.items()} == {
        "a": "list",
        "b": "RuntimeError",
        "c": "RuntimeError",
    }


def test_an_add_on_that_fails_on_one_image_names_the_others() -> None:
    """A failed batch of names is tried again image by image, without another run of the network."""
    network = Network(8)
    offered = {"a": AddOn(network, fails_on=20.0), "b": AddOn(network)}
    found = infer(offered, [request(10, "a", "b"), request(20, "a", "b"), request(30, "a")])
    assert [type(tags["a"]).__name__ for tags in found] == ["list", "ValueError", "list"]
    assert isinstance(found[1]["b"], list)
    assert network.runs == [3]


async def test_the_pool_tells_who_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line; the image is decoded once for all, and not remembered, so that a copy gets another try."""
    decoded: Counter[str] = Counter()
    whole = tagger_pool.open_image

    def counted(data: bytes, wanted: set[View], formats: frozenset[str]) -> object:
        decoded["times"] += 1
        return whole(data, wanted, formats)

    monkeypatch.setattr(tagger_pool, "open_image", counted)
    broken = Network(16, broken=True)
    add_ons = {"a": AddOn(Network(32)), "b": AddOn(broken), "c": AddOn(Network(8), View(4))}
    pool = TaggerPool(add_ons, threads=1, max_batch=4, known_images=10)
    pool.start()
    try:
        found = await pool.tag(PHOTO, ["c", "b", "a"])
        assert list(found.tags) == ["c", "a"]
        assert found.failed == {"b": "RuntimeError: out of memory"}
        assert decoded["times"] == 1
        broken.broken = False
        assert (await pool.tag(PHOTO, ["c", "b", "a"])).failed == {}
        broken.broken = True
        with pytest.raises(RuntimeError, match="out of memory"):
            await pool.tag(PHOTO, ["b"])
    finally:
        pool.stop()
