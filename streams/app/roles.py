"""Roles: what a process does, so that each can be scaled by itself."""

from enum import StrEnum


class Role(StrEnum):
    """One thing that a process does."""

    TAG = "tag"
    QUERY = "query"
    GATEWAY = "gateway"
    WEBHOOKS = "webhooks"
    PAGE = "page"
    TRENDS = "trends"

    @property
    def meaning(self) -> str:
        """What a process with this role does."""
        return _MEANINGS[self]


_MEANINGS = {
    Role.TAG: "joins the group, takes partitions, tags and commits",
    Role.QUERY: "follows the state of all partitions, and answers questions about it",
    Role.GATEWAY: "takes the calls of Cloudinary's and Imagga's clients, on a port of its own",
    Role.WEBHOOKS: "tells receivers over HTTP what was committed",
    Role.PAGE: "shows all of it to people in a browser, beside the answers of query",
    Role.TRENDS: "tells by the topic image.trends which tags begin to rise, are at their height and rise no "
    "longer; it needs the stream tag.counts",
}
ALL = ",".join(Role)
DEFAULT = f"{Role.TAG},{Role.QUERY}"


def read_roles(text: str) -> frozenset[Role]:
    """The roles that are named.

    Raises:
        ValueError: One is unknown, none is named, or one lacks another; the message says which there are.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in set(Role)]
    if unknown or not names:
        what = f"knows no role {unknown[0]!r}" if unknown else "names no role"
        raise ValueError(f"{what}; name one or more of {ALL}")
    if Role.PAGE in names and Role.QUERY not in names:
        raise ValueError(f"the role page shows what the role query answers; say {Role.QUERY},{text}")
    return frozenset(map(Role, names))


def roles_fault(text: str) -> str | None:
    """Why these are no roles; None: they are."""
    try:
        read_roles(text)
    except ValueError as error:
        return str(error)
    return None
