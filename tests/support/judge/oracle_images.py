"""An image as the oracle sees it: the events that took effect, and what follows from the set of them.

Nothing here depends on the order in which events came, but for the history of changes.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from support.judge.oracle_events import Event, Id, Photo

DAY_MS = 86_400_000
WINDOW_MS = {"minute": 60_000, "hour": 3_600_000, "day": DAY_MS}
REMEMBERED_CHANGES = 10
MODEL = ["stub", "1"]
RULES = "a0ea1af23aab"  # the hash of no rules


class Said(NamedTuple):
    """What a person said of a tag: whether it is on the image, and in which event."""

    wanted: bool
    at: int
    offset: int
    by: str | None
    id: Id


class Look(NamedTuple):
    """An upload, an update or a deletion (`photo` is None) and its place."""

    event: Event
    offset: int
    photo: Photo | None
    url: str | None

    @property
    def rank(self) -> tuple[int, int]:
        """Its place in the order of event times."""
        return self.event.at, self.offset

    @property
    def version(self) -> int | None:
        """The version that it names."""
        return self.event.data.get("version")

    @property
    def own(self) -> list[str] | None:
        """The tags that it names; a deletion names that there are none."""
        return [] if self.photo is None else self.event.data.get("tags")

    @property
    def cause(self) -> list[str]:
        """What it is known by."""
        return [*self.event.id, self.event.type]


@dataclass
class Image:
    """An image: of each kind of event the latest, and of looks that of each version.

    Attributes:
        offset: Of the last event that changed it or was remembered.
        looks: How many uploads, updates and deletions took effect, or came too late for that.
        edits: How many edits of people's.
        kept: These looks, of slow images.
        causes: By the place of a look, the re-tag that looked anew.
        said_since: What people said before this event time and place is void.
    """

    offset: int = 0
    looks: int = 0
    edits: int = 0
    kept: list[Look] = field(default_factory=list)
    causes: dict[int, list[str]] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    said_since: tuple[int, int] | None = None
    _seen: set[Id] = field(default_factory=set)
    _best: dict[int | None, Look] = field(default_factory=dict)
    _user_look: Look | None = None
    _latest_own: Look | None = None
    _said: dict[str, Said] = field(default_factory=dict)

    def look(self, look: Look, *, keep: bool) -> None:
        """Take note of an upload, an update or a deletion."""
        self.looks += 1
        self.offset = look.offset
        self._seen.add(look.event.id)
        self._best[look.version] = _later(self._best.get(look.version), look)
        if "user_id" in look.event.data:
            self._user_look = _later(self._user_look, look)
        if look.own is not None:
            self._latest_own = _later(self._latest_own, look)
        if look.photo is None or look.event.data.get("keep_edits") is False:
            self.said_since = max(look.rank, self.said_since or look.rank)
        if keep:
            self.kept.append(look)

    def edit(self, event: Event, offset: int) -> None:
        """Take note of a person's edit."""
        self.edits += 1
        self.offset = offset
        self._seen.add(event.id)
        who = event.data.get("by") or event.data.get("user_id")
        for wanted, tags in ((True, event.data.get("added", ())), (False, event.data.get("removed", ()))):
            for tag in tags:
                said = Said(wanted, event.at, offset, who, event.id)
                if tag not in self._said or said[1:3] > self._said[tag][1:3]:
                    self._said[tag] = said

    def knows(self, event_id: Id) -> bool:
        """Whether an event came before."""
        return event_id in self._seen

    @property
    def shown(self) -> Look:
        """The look that counts: the latest of the highest version's and of those without a version."""
        candidates = (self._best.get(version) for version in {None, self.version})
        return max((look for look in candidates if look is not None), key=lambda look: look.rank)

    @property
    def version(self) -> int | None:
        """The highest version that was ever named."""
        return max((version for version in self._best if version is not None), default=None)

    @property
    def user(self) -> str | None:
        """Whose it is: by the look that counts, or else by the latest that says."""
        chosen = self.shown if "user_id" in self.shown.event.data else self._user_look
        return None if chosen is None else str(chosen.event.data["user_id"])

    @property
    def _own_look(self) -> Look | None:
        return self.shown if self.shown.own is not None else self._latest_own

    @property
    def own(self) -> list[str]:
        """The tags that came with it."""
        return list(self._own_look.own or []) if self._own_look else []

    @property
    def own_cause(self) -> list[str] | None:
        """The event that named them."""
        return self._own_look.cause if self._own_look else None

    @property
    def cause(self) -> list[str]:
        """The event behind its state."""
        return self.causes.get(self.shown.offset, self.shown.cause)

    @property
    def deleted(self) -> bool:
        """Whether it is gone."""
        return self.shown.photo is None

    @property
    def found(self) -> dict[str, list[str]]:
        """The tags that add-ons assign, whatever people say, each with those add-ons."""
        return {} if self.shown.photo is None else assigned(self.shown.photo, self.shown.event)

    @property
    def said(self) -> dict[str, Said]:
        """What people said last of each tag."""
        since = self.said_since or (-1, -1)
        return {tag: said for tag, said in self._said.items() if said[1:3] > since}

    @property
    def ever_said(self) -> set[str]:
        """The tags that people said something of, void or not."""
        return set(self._said)

    @property
    def unwanted(self) -> set[str]:
        """The tags that people took away."""
        return {tag for tag, said in self.said.items() if not said.wanted}

    @property
    def sources(self) -> dict[str, list[str]]:
        """The image's tags with where they are from: of people, with the image, from add-ons."""
        if self.deleted:
            return {}
        said = self.said
        wanted = sorted((each.at, tag) for tag, each in said.items() if each.wanted)
        every = [(tag, "people") for _, tag in wanted] + [(tag, "own") for tag in self.own]
        every += [(tag, name) for tag, names in self.found.items() for name in names]
        given: dict[str, list[str]] = {}
        for tag, source in every:
            if tag not in said or said[tag].wanted:
                given.setdefault(tag, []).append(source)
        return given

    def note_change(self, event: Event, before: dict[str, list[str]], told: dict[str, Any]) -> None:
        """Put into the history what an event changed about the tags."""
        after = self.sources
        added, removed = difference(before, after)
        if added or removed:
            change = {"at": event.at, "cause": [*event.id, event.type], "added": added, "removed": removed}
            given = {source for tag in added for source in after[tag]}
            if not given <= {next(iter(told.get("models", ["people"])))}:
                change["from"] = {
                    source: [place for place, tag in enumerate(added) if source in after[tag]]
                    for source in given
                }
            self.history = [*self.history, change | told][-REMEMBERED_CHANGES:]


def _later(known: Look | None, look: Look) -> Look:
    return look if known is None or look.rank > known.rank else known


def places_of(at: int, tags: Iterable[str]) -> Iterator[tuple[str, int, str]]:
    """Window, bucket and tag of everything that an image of an event time counts in."""
    for tag in tags:
        yield "all", 0, tag
        for window, length in WINDOW_MS.items():
            yield window, at // length * length // 1000, tag


def ranked(photo: Photo) -> list[list[Any]]:
    """Tags with their confidences, best first."""
    return [[tag, photo[tag]] for tag in sorted(photo, key=lambda tag: (-photo[tag], tag))]


def assigned(photo: Photo, event: Event) -> dict[str, list[str]]:
    """The tags that add-ons assign, each with those add-ons: all of them see the same here."""
    least = 1.0 if event.threshold is None else event.threshold
    return {tag: list(event.add_ons) for tag, confidence in ranked(photo) if confidence > least}


def difference(before: dict[str, list[str]], after: dict[str, list[str]]) -> tuple[list[str], list[str]]:
    """The tags that came and those that went."""
    return [tag for tag in after if tag not in before], [tag for tag in before if tag not in after]
