"""What can be asked about images, and about tags that come together."""

import hashlib
import itertools
import re
from dataclasses import dataclass
from typing import Annotated

import msgspec

from schemas.names import MAX_NAME
from streams.fold.rows import ImageKey
from streams.state.images.related_tags import BY_BOTH, BY_LIFT
from streams.state.images.search import CONFIDENT, NEWEST, ImageQuery, SortKey
from streams.web.access.errors import BadQuestionError
from streams.web.api.kinds.cursors import CursorPart, cursor, encode_cursor
from streams.web.api.kinds.moments import MOMENT
from streams.web.api.parameters import (
    NAME,
    Kind,
    Limit,
    Parameter,
    Tenant,
    number,
    one_of,
    whole_number,
)

MAX_TAGS = 20
_MAX_RANK = 2**63


_COMMAS = re.compile(r"(?<!\\),")


def _names(text: str) -> tuple[str, ...]:
    names = tuple(NAME.parse(name.replace("\\,", ",").strip()) for name in _COMMAS.split(text))
    if len(names) > MAX_TAGS:
        raise ValueError(text)
    return names


NAMES = Kind(
    _names,
    f"at most {MAX_TAGS} names separated by commas, with \\, for one within, each visible text of at most "
    f"{MAX_NAME} characters",
    "koala,tree",
    {"type": "string", "minLength": 1},
)


@dataclass(frozen=True, kw_only=True)
class ImagesQuestion:
    """Parameters of `GET /images`."""

    tag: Annotated[
        tuple[str, ...], Parameter(NAME, "A tag that images must have, commas and all.", most=MAX_TAGS)
    ]
    all_: Annotated[
        tuple[tuple[str, ...], ...], Parameter(NAMES, "Tags that images must have.", most=MAX_TAGS)
    ]
    any_: Annotated[
        tuple[tuple[str, ...], ...], Parameter(NAMES, "Tags of which images must have one.", most=MAX_TAGS)
    ]
    none: Annotated[
        tuple[tuple[str, ...], ...],
        Parameter(NAMES, "Tags that images must not have, however unsure.", most=MAX_TAGS),
    ]
    since: Annotated[int | None, Parameter(MOMENT, "Earliest event time.")]
    until: Annotated[int | None, Parameter(MOMENT, "First event time that is too late.")]
    min_confidence: Annotated[
        float | None, Parameter(number(0, 1), "What each wanted tag must have at least.")
    ]
    user: Annotated[str | None, Parameter(NAME, "Whose images.")]
    untagged: Annotated[
        str, Parameter(one_of("false", "true"), "Whether only images without any tag.", default="false")
    ]
    order: Annotated[
        str, Parameter(one_of(NEWEST, CONFIDENT), "Newest or most confident first.", default=NEWEST)
    ]
    limit: Limit
    cursor: Annotated[
        tuple[CursorPart, ...] | None, Parameter(cursor(str, int, str, int), "Where the page begins.")
    ]
    tenant: Tenant

    def query(self) -> ImageQuery:
        """Give what is searched for.

        Raises:
            BadQuestionError: Confidence is asked about where no tag is wanted.
        """
        query = ImageQuery(
            all_of=_distinct("all", (self.tag, *self.all_)),
            any_of=_distinct("any", self.any_),
            none_of=_distinct("none", self.none),
            since=self.since,
            until=self.until,
            min_confidence=self.min_confidence or 0.0,
            user=self.user,
            untagged=self.untagged == "true",
            order=self.order,
        )
        if not query.wants_tags and (self.min_confidence is not None or self.order == CONFIDENT):
            name = "order" if self.min_confidence is None else "min_confidence"
            message = f"{name} is about the confidence of wanted tags; say some in tag, all or any"
            raise BadQuestionError(f"invalid_{name}", message)
        return query

    def after(self) -> SortKey | None:
        """Give where the page begins.

        Raises:
            BadQuestionError: The cursor is of another question.
        """
        if self.cursor is None:
            return None
        owner, rank, public_id, partition = self.cursor
        rank, partition = int(rank), int(partition)
        if owner != self.fingerprint() or not 0 <= rank < _MAX_RANK:
            message = (
                "cursor is of another question; repeat that one's parameters, limit aside, or leave it out"
            )
            raise BadQuestionError("invalid_cursor", message)
        return SortKey(rank, ImageKey(self.tenant, str(public_id)).encode(), partition)

    def cursor_of(self, last: SortKey) -> str:
        """Give the cursor behind a page's last image. The tenant is not in it: the question names that."""
        public_id = ImageKey.decode(last.key).public_id
        return encode_cursor((self.fingerprint(), last.rank, public_id, last.partition))

    def fingerprint(self) -> str:
        """Give what tells this question from others; pages of one question share it."""
        asked = msgspec.json.encode((self.tenant, self.query()))
        return hashlib.blake2b(asked, digest_size=6).hexdigest()


def _distinct(name: str, lists: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(itertools.chain.from_iterable(lists)))
    if len(names) > MAX_TAGS:
        raise BadQuestionError(f"invalid_{name}", f"{name} names {len(names)} tags; at most {MAX_TAGS}")
    return names


@dataclass(frozen=True, kw_only=True)
class ImageQuestion:
    """Parameters of `GET /images/{public_id}`."""

    public_id: Annotated[str, Parameter(NAME, "Identity of the image.", required=True)]
    tenant: Tenant


@dataclass(frozen=True, kw_only=True)
class RelatedQuestion:
    """Parameters of `GET /trends/tags/{tag}/related`."""

    tag: Annotated[str, Parameter(NAME, "The tag.", required=True)]
    order: Annotated[
        str,
        Parameter(
            one_of(BY_LIFT, BY_BOTH), "Most surprising or most frequent together first.", default=BY_LIFT
        ),
    ]
    min_both: Annotated[
        int, Parameter(whole_number(1, 1_000_000), "Images that have both, at least.", default=5)
    ]
    limit: Limit
    tenant: Tenant
