"""Several add-ons over one batch of decoded images: each network runs once, and each fails alone."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from model import Tag, View
from streams.tag.meter import Spent

log = logging.getLogger(__name__)

Squares = NDArray[np.uint8]
Item = TypeVar("Item")
Result = TypeVar("Result")
Found = list[Tag] | Exception


class Classifier(Protocol):
    """What a network says of images: see `model.Tagger`."""

    @property
    def view(self) -> View:
        """How it looks at an image."""

    def outputs(self, squares: Sequence[Squares]) -> NDArray[np.float32]:
        """Compute the outputs, one row per image."""


class AddOn(Protocol):
    """What makes tags of a network's outputs: see `model.Tagger` and `model.SceneTagger`."""

    @property
    def classifier(self) -> Classifier:
        """The network whose outputs it takes; add-ons may share one."""

    @property
    def glance(self) -> View | None:
        """How it looks at an image besides; None: it does not."""

    @property
    def tag_names(self) -> tuple[str, ...]:
        """Every tag that it can give."""

    def tags(self, outputs: NDArray[np.float32], glances: Sequence[Squares]) -> list[list[Tag]]:
        """One list of tags per image."""


@dataclass(frozen=True)
class Request:
    """A decoded image, and the add-ons that it is for."""

    add_ons: Sequence[str]
    squares: Mapping[View, Squares]


def views(offered: Mapping[str, AddOn], add_ons: Sequence[str]) -> set[View]:
    """What must be decoded of an image for some add-ons."""
    asked = [offered[name] for name in add_ons]
    glances = {add_on.glance for add_on in asked if add_on.glance is not None}
    return {add_on.classifier.view for add_on in asked} | glances


def infer(
    offered: Mapping[str, AddOn], requests: Sequence[Request], spent: list[Spent] | None = None
) -> list[dict[str, Found]]:
    """What each add-on finds in each image, or why it failed there.

    Where a batch fails, each of its images is tried once more alone, so that none costs others their tags.

    Args:
        offered: The add-ons.
        requests: The images.
        spent: Takes what each add-on cost.
    """
    found: list[dict[str, Found]] = [{} for _ in requests]
    for classifier, names in _names_by_classifier(offered).items():
        asking = [index for index, request in enumerate(requests) if names & set(request.add_ons)]
        squares = [requests[index].squares[classifier.view] for index in asking]
        started = time.perf_counter()
        outputs = dict(zip(asking, _each(classifier.outputs, squares), strict=True))
        network = time.perf_counter() - started
        for name in sorted(names):
            started = time.perf_counter()
            mine = [index for index in asking if name in requests[index].add_ons]
            for index, tags in _named(offered[name], mine, outputs, requests):
                found[index][name] = tags
            if spent is not None and mine:
                own = time.perf_counter() - started
                spent.append(Spent(name, network / len(asking) + own / len(mine), len(mine)))
    return found


def _named(
    add_on: AddOn,
    indexes: Sequence[int],
    outputs: Mapping[int, NDArray[np.float32] | Exception],
    requests: Sequence[Request],
) -> Iterator[tuple[int, Found]]:
    rows: dict[int, tuple[NDArray[np.float32], Squares | None]] = {}
    for index in indexes:
        row = outputs[index]
        if isinstance(row, Exception):
            yield index, row
        else:
            rows[index] = row, None if add_on.glance is None else requests[index].squares[add_on.glance]

    def tags(part: Sequence[tuple[NDArray[np.float32], Squares | None]]) -> list[list[Tag]]:
        return add_on.tags(np.stack([row for row, _ in part]), [seen for _, seen in part if seen is not None])

    yield from zip(rows, _each(tags, list(rows.values())), strict=True)


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


def _names_by_classifier(offered: Mapping[str, AddOn]) -> dict[Classifier, set[str]]:
    names: dict[Classifier, set[str]] = {}
    for name, add_on in offered.items():
        names.setdefault(add_on.classifier, set()).add(name)
    return names
