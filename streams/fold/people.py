"""What people say of an image's tags, and how that outweighs taggers and uploads.

A decision is about one tag: it is on the image, or it is not. Of several about a tag the one with the latest
event time counts, of equally late ones the one that is further back in the log: so it does not matter in
which order they are read. Decisions outlast uploads and re-tags. A deletion ends those before it, and so does
an upload that says so.

An image's row has them under "people", absent where there is nothing to say:
{"tags": {tag: [ADDED or REMOVED, event time in ms, source offset, who or null, source, id]},
 "ids": edits that were seen, as those of uploads in `streams.fold.rows`,
 "since": edits before this event time are void, "since_o": of that very time those before this offset,
 "hidden": {tag: add-ons that assign it, although people took it away}}
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from schemas.uploads import MAX_PASSED_ON_BYTES, MAX_TAGS, Upload

OWN, PEOPLE = "own", "people"  # sources of tags besides add-ons
ADDED, REMOVED = "+", "-"

People = dict[str, Any]
Sources = dict[str, list[str]]  # by tag


class Decision(NamedTuple):
    """What a person decided about a tag. `at` is the edit's event time in milliseconds."""

    kind: str
    at: int
    offset: int
    who: str | None
    source: str
    id: str


class Weighed(NamedTuple):
    """The tags of an image, each with its sources, and what its row has under "people"."""

    sources: Sources
    people: People


def decide(people: Mapping[str, Any], upload: Upload, offset: int) -> People:
    """What holds after an edit."""
    tags = dict(people.get("tags", {}))
    data = upload.data
    if not is_void(people, upload.at, offset):
        who = data.by or data.user_id
        for kind, names in ((ADDED, data.added or ()), (REMOVED, data.removed or ())):
            for tag in names:
                if tag not in tags or tuple(tags[tag][1:3]) <= (upload.at, offset):
                    tags[tag] = list(Decision(kind, upload.at, offset, who, upload.source, upload.id))
    return {**people, **({"tags": tags} if tags else {})}


def is_void(people: Mapping[str, Any], at: int, offset: int) -> bool:
    """Whether an edit comes from before a deletion."""
    return "since" in people and (at, offset) < (people["since"], people.get("since_o", -1))


def forget(people: Mapping[str, Any], at: int, offset: int) -> People:
    """What holds after everything before an event is forgotten, by event time and place."""
    since = max((at, offset), (people.get("since", at), people.get("since_o", -1)))
    kept = {tag: said for tag, said in people.get("tags", {}).items() if tuple(said[1:3]) > since}
    rest = {name: value for name, value in people.items() if name in {"ids", "hidden"}}
    return rest | {"since": since[0], "since_o": since[1]} | ({"tags": kept} if kept else {})


def has_room(people: Mapping[str, Any]) -> bool:
    """Whether an image's row can keep so many decisions."""
    tags = people.get("tags", {})
    return len(tags) <= MAX_TAGS and len(orjson.dumps(tags)) <= MAX_PASSED_ON_BYTES


def weigh(people: Mapping[str, Any], own: list[str], assigned: Mapping[str, list[str]]) -> Weighed:
    """The tags that an image has: what people say first, then what came with it, then the add-ons' best.

    Args:
        people: What the image's row has under "people".
        own: Tags that came with the image.
        assigned: Tags that add-ons assign, best first, each with those add-ons.
    """
    decisions: dict[str, list[Any]] = people.get("tags", {})
    added = [tag for tag, decision in decisions.items() if decision[0] == ADDED]
    sources: Sources = {tag: [PEOPLE] for tag in sorted(added, key=lambda tag: (decisions[tag][1], tag))}
    hidden: Sources = {}
    for tag, given in (*((tag, [OWN]) for tag in own), *assigned.items()):
        removed = tag in decisions and decisions[tag][0] == REMOVED
        if not removed:
            sources.setdefault(tag, []).extend(given)
        elif given != [OWN]:
            hidden[tag] = list(given)
    rest = {name: content for name, content in people.items() if name != "hidden"}
    return Weighed(dict(list(sources.items())[:MAX_TAGS]), rest | ({"hidden": hidden} if hidden else {}))


def assigned_by_add_ons(row: Mapping[str, Any]) -> Sources:
    """What add-ons assign to an image, best first, as its row has it: the third argument of `weigh`."""
    found: Sources = {
        tag: [source for source in sources if source not in {OWN, PEOPLE}]
        for tag, sources in zip(row["tags"], row["by"], strict=True)
    }
    hidden: Sources = row.get("people", {}).get("hidden", {})
    given = {tag: sources for tag, sources in found.items() if sources} | hidden
    best = sorted(
        (score for scores in row["scores"].values() for score in scores), key=lambda score: -score[1]
    )
    ranks = {tag: rank for rank, (tag, _) in reversed(list(enumerate(best)))}
    return {tag: given[tag] for tag in sorted(given, key=lambda tag: ranks.get(tag, len(best)))}
