"""Several add-ons over one batch of decoded images: each network runs once, and each fails alone."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from model import Tag, View
from streams.tag.meter import Spent

log = logging.getLogger(__name__)

Squares = NDArray[np.uint8]
Row = NDArray[np.float32]
Item = TypeVar("Item")
Result = TypeVar("Result")
Found = list[Tag] | Exception


class Source(Protocol):
    """What runs a network, for one or more models that take different outputs of it."""

    @property
    def view(self) -> View:
        """How it looks at an image."""

    def outputs(self, squares: Sequence[Squares]) -> NDArray[np.float32]:
        """Compute the outputs, one row per image."""


class Classifier(Protocol):
    """What a network says of images: see `model.Tagger`."""

    @property
    def source(self) -> Source:
        """What runs it."""

    @property
    def columns(self) -> slice:
        """Its part of what that gives."""


class AddOn(Protocol):
    """What makes tags of networks' outputs: see `model.Tagger` and `model.SceneTagger`."""

    @property
    def networks(self) -> tuple[Classifier, ...]:
        """The networks whose outputs it takes; add-ons may share them."""

    @property
    def glance(self) -> View | None:
        """How it looks at an image besides; None: it does not."""

    @property
    def tag_names(self) -> tuple[str, ...]:
        """Every tag that it can give."""

    def tags(self, outputs: Sequence[NDArray[np.float32]], glances: Sequence[Squares]) -> list[list[Tag]]:
        """One list of tags per image, from each network's outputs for it."""


class Embeds(Protocol):
    """What makes embeddings of a network's features: see `model.embedding.embedding.Embedding`."""

    @property
    def source(self) -> Source:
        """What runs the network."""

    def embed(self, outputs: NDArray[np.float32]) -> list[str | None]:
        """Embeddings by what that gives, one per row; None: that image has none."""


@dataclass(frozen=True)
class Request:
    """A decoded image, and the add-ons that it is for."""

    add_ons: Sequence[str]
    squares: Mapping[View, Squares]


def views(offered: Mapping[str, AddOn], add_ons: Sequence[str]) -> set[View]:
    """What must be decoded of an image for some add-ons."""
    asked = [offered[name] for name in add_ons]
    glances = {add_on.glance for add_on in asked if add_on.glance is not None}
    return {network.source.view for add_on in asked for network in add_on.networks} | glances


@dataclass
class Besides:
    """What is learned in a batch beside the tags.

    Attributes:
        embeds: What makes embeddings; None: nothing does.
        spent: What each add-on cost.
        embeddings: Of the images, by their places in the batch.
    """

    embeds: Embeds | None = None
    spent: list[Spent] = field(default_factory=list)
    embeddings: dict[int, str] = field(default_factory=dict)


def infer(
    offered: Mapping[str, AddOn], requests: Sequence[Request], besides: Besides | None = None
) -> list[dict[str, Found]]:
    """What each add-on finds in each image, or why it failed there.

    Where a batch fails, each of its images is tried once more alone, so that none costs others their tags.

    Args:
        offered: The add-ons.
        requests: The images.
        besides: Takes what else is learned.
    """
    besides = besides or Besides()
    outputs, seconds = _run_networks(offered, requests)
    found: list[dict[str, Found]] = [{} for _ in requests]
    for name in sorted({name for request in requests for name in request.add_ons}):
        add_on, started = offered[name], time.perf_counter()
        mine = [index for index, request in enumerate(requests) if name in request.add_ons]
        for index, tags in _named(add_on, mine, outputs, requests):
            found[index][name] = tags
        own = (time.perf_counter() - started) / len(mine)
        ran = sum(seconds[source] for source in {network.source for network in add_on.networks})
        besides.spent.append(Spent(name, own + ran, len(mine)))
    _embed(besides, outputs)
    return found


def _embed(besides: Besides, outputs: Mapping[Source, Mapping[int, Row | Exception]]) -> None:
    if besides.embeds is None:
        return
    rows = outputs.get(besides.embeds.source, {})
    good = {index: row for index, row in rows.items() if not isinstance(row, Exception)}
    if good:
        made = zip(good, besides.embeds.embed(np.stack([*good.values()])), strict=True)
        besides.embeddings |= {index: text for index, text in made if text is not None}


def _run_networks(
    offered: Mapping[str, AddOn], requests: Sequence[Request]
) -> tuple[dict[Source, dict[int, Row | Exception]], dict[Source, float]]:
    """What each network gives for each image, or why it failed there; and the seconds per image."""
    asking: dict[Source, list[int]] = {}
    for index, request in enumerate(requests):
        networks = (network for name in request.add_ons for network in offered[name].networks)
        for source in dict.fromkeys(network.source for network in networks):
            asking.setdefault(source, []).append(index)
    outputs: dict[Source, dict[int, Row | Exception]] = {}
    seconds: dict[Source, float] = {}
    for source, indexes in asking.items():
        started = time.perf_counter()
        rows = _each(source.outputs, [requests[index].squares[source.view] for index in indexes])
        outputs[source] = dict(zip(indexes, rows, strict=True))
        seconds[source] = (time.perf_counter() - started) / len(indexes)
    return outputs, seconds


def _named(
    add_on: AddOn,
    indexes: Sequence[int],
    outputs: Mapping[Source, Mapping[int, Row | Exception]],
    requests: Sequence[Request],
) -> Iterator[tuple[int, Found]]:
    """What an add-on makes of its networks' outputs, image by image."""
    seen: dict[int, tuple[list[Row], Squares | None]] = {}
    for index in indexes:
        found = [(outputs[network.source][index], network.columns) for network in add_on.networks]
        failed = [row for row, _ in found if isinstance(row, Exception)]
        if failed:
            yield index, failed[0]
        else:
            rows = [row[columns] for row, columns in found if not isinstance(row, Exception)]
            glance = None if add_on.glance is None else requests[index].squares[add_on.glance]
            seen[index] = rows, glance

    def tags(part: Sequence[tuple[list[Row], Squares | None]]) -> list[list[Tag]]:
        of_networks = [np.stack(rows) for rows in zip(*(rows for rows, _ in part), strict=True)]
        return add_on.tags(of_networks, [glance for _, glance in part if glance is not None])

    yield from zip(seen, _each(tags, list(seen.values())), strict=True)


def _each(
    function: Callable[[Sequence[Item]], Sequence[Result] | NDArray[np.float32]], items: Sequence[Item]
) -> list[Result | Exception]:
    """Apply a function of batches; where that fails, to each item alone."""
    if not items:
        return []
    try:
        results = list(function(items))
    except Exception as error:  # noqa: BLE001 - whoever asked decides what a failed model means
        if len(items) == 1:
            return [error]
        log.info("a batch of %d images failed, trying each alone: %s", len(items), error)
        return [result for item in items for result in _each(function, [item])]
    if len(results) != len(items):
        counts = f"{len(items)} images went in, but {len(results)} results came out"
        raise RuntimeError(f"{counts}: report this bug")
    return results
